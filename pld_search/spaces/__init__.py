"""Studies: an experiment, the systems to compare and the open domains, and how one choice of values becomes an
Experiment. The room does not import optuna.
"""
