"""Mirrors events in MLflow; the mirror can be rebuilt from files at any time. The only room that imports mlflow."""
