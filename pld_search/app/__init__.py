"""The work of each verb without a console: the command line and Python's `run` call this room."""
