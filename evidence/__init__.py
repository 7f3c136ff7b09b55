"""Studies of our own: their designs, their packed records, and what follows from them. Run as modules from the
repository's root.
"""
