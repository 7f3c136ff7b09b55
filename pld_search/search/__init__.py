"""Runs a study: one coordinator asks for configurations, launches and follows runs, and tells the sampler their
results. The only room that imports optuna.
"""
