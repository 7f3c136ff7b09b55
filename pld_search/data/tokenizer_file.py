"""Where a tokenizer's file is: found without loading the library that reads it."""

from __future__ import annotations

from pathlib import Path

from pld_search.errors import DataError

FILES = ("tokenizer.json", "vocab.txt")
"""What a folder with a tokenizer holds at least one of; the first is preferred."""


def tokenizer_file(place: Path) -> Path:
    """The file at `place`, or the one in the folder there. Raises DataError."""
    if place.is_dir():
        found = [place / name for name in FILES if (place / name).is_file()]
        if not found:
            raise DataError(f"{place}: neither tokenizer.json nor vocab.txt is in this folder")
        return found[0]
    if not place.is_file():
        raise DataError(f"{place}: no such tokenizer")
    return place
