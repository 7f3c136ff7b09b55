"""A whole study from Python, without a console: run it and read its files, as the verbs of the command line do."""
