"""Studies: an experiment, the systems to compare, what is left open, and the way from a choice to an Experiment. No
optuna here.
"""
