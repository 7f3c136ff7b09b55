"""The BERT encoder of this project: blocks with gates, heads, initialisation, and conversion from and to transformers'
checkpoints.
"""
