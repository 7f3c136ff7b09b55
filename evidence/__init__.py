"""The project's own studies: their designs, their packed records, and the results. Run the modules from the
repository's root.
"""
