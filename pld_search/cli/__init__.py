"""The command line: one verb a file. Only this room reads argv and the environment. Heavy libraries are imported when a
verb needs them.
"""
