"""A whole study from Python: run it, and read what its files say. The verbs of the command line without a console."""
