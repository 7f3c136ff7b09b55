"""Spread over seeds, differences of blocks, simultaneous intervals, verdicts and power. Pure: numpy and scipy only.

`compare.py` is the entry: rows -> seed -> value in, one verdict a row out. Every function refuses numbers that are not
finite with a ValueError.
"""
