"""Turns text, tables and hub data into token files, and token files into masked batches as pure functions of the
step.
"""
