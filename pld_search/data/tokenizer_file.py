"""Finds a tokenizer's file without loading the library that reads it."""

from __future__ import annotations

from pathlib import Path

from pld_search.errors import DataError

FILES = ("tokenizer.json", "vocab.txt")
"""Files of which a tokenizer's folder has at least one; the first is preferred."""


def tokenizer_file(place: Path) -> Path:
    """Returns the file at `place`, or the tokenizer file in that folder. Raises DataError if there is none."""
    if place.is_dir():
        found = [place / name for name in FILES if (place / name).is_file()]
        if not found:
            raise DataError(f"{place}: neither tokenizer.json nor vocab.txt is in this folder")
        return found[0]
    if not place.is_file():
        raise DataError(f"{place}: no such tokenizer")
    return place
