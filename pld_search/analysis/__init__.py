"""What layers do: gradient norms, similarity of a layer's input and output, lesions, and what fewer layers gain.

It takes a model and held-out sequences, and gives numbers (records/layer_analysis.py). Nothing here draws or records.
"""
