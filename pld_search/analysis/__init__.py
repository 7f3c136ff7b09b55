"""The analysis of layers: gradient norms, similarity of a layer's input and output, lesions, and speed with fewer
layers.

It takes a model and held-out sequences, and returns numbers (records/layer_analysis.py). It draws and records nothing.
"""
