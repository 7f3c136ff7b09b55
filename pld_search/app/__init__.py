"""What each verb does, without a console: the command line and Python's `run` call it."""
