"""The BERT encoder of this project: blocks with gates, heads, initialisation, and the way from and to transformers'
checkpoints.
"""
