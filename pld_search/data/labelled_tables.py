"""Labelled texts in tables: GLUE's tab-separated files, and a user's tsv, csv and jsonl.

A GLUE file is not CSV: its quotes are literal, so a row is a line, and a cell is the text between two tabs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pld_search.errors import DataError

Row = dict[str, str]


def read_text(path: Path) -> str:
    """Reads a whole UTF-8 file without its byte order mark; line ends stay unchanged. Raises DataError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def tsv(
    path: Path, columns: Sequence[str] | None = None, skipped: Callable[[], None] | None = None
) -> Iterator[tuple[int, Row]]:
    """Yields (line number, row) of a tab-separated file; `columns` names the columns of a file without a header.

    A row of another width raises DataError or, with `skipped`, is reported to it and left out.
    """
    lines = [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]
    names = list(columns) if columns is not None else lines[0].split("\t")
    first = 0 if columns is not None else 1
    for number, line in enumerate(lines[first:], start=first + 1):
        cells = line.split("\t")
        if len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        elif skipped is not None:
            skipped()
        else:
            raise DataError(f"{path}:{number}: {len(cells)} tab-separated cells where there should be {len(names)}")


def table(path: Path) -> Iterator[tuple[int, Row]]:
    """Yields (line number, row) of a user's file, by its suffix: .tsv (literal quotes), .csv (CSV quotes) or .jsonl.
    Raises DataError.
    """
    if path.suffix == ".tsv":
        yield from tsv(path)
    elif path.suffix == ".csv":
        yield from _csv(path)
    elif path.suffix in (".jsonl", ".ndjson"):
        yield from _jsonl(path)
    else:
        raise DataError(f"{path}: a table is a .tsv, .csv or .jsonl file")


def _csv(path: Path) -> Iterator[tuple[int, Row]]:
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        names = next(rows, [])
        for row in rows:
            if len(row) != len(names):
                raise DataError(f"{path}:{rows.line_num}: {len(row)} cells where there should be {len(names)}")
            yield rows.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: not CSV: {error}") from error


def _jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                record = json.loads(line)
                yield (
                    number,
                    {
                        str(name): value if isinstance(value, str) else json.dumps(value)
                        for name, value in record.items()
                    },
                )
            except (ValueError, AttributeError) as error:
                raise DataError(f"{path}:{number}: not a JSON object") from error


def cell(row: Row, name: str, path: Path, number: int) -> str:
    """Returns one cell. Raises DataError if the table has no such column."""
    if name not in row:
        raise DataError(f"{path}:{number}: no column '{name}'; there are {', '.join(row)}")
    return row[name]
