"""Experiments and their execution as frozen values with units, and how they are read from and written to YAML."""
