"""The command line: one verb a file; the only place that reads argv and the environment. Nothing heavy is imported
before a verb needs it.
"""
