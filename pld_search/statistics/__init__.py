"""Spread over seeds, differences of blocks, simultaneous intervals, verdicts and power. Pure: numpy and scipy only.

`compare.py` is the entry: it maps rows -> seed -> value to one verdict for each row. Every function refuses numbers
that are not finite with a ValueError.
"""
