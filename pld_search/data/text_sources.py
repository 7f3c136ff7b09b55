"""Text files as a stream of documents: globs, txt and jsonl, plain or compressed, cut into documents.

A document is an iterator of pieces of text, so that a document of a whole file is never in memory at once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Literal

from pld_search.data.compressed_files import UNREADABLE, kind, refuse_unread, unpacked
from pld_search.errors import DataError
from pld_search.host.disk import expanded

Unit = Literal["file", "line", "paragraph"]
Document = Iterator[str]


@dataclass(frozen=True, slots=True)
class TextFiles:
    """Files in a fixed order, and the field of their records if they are jsonl."""

    paths: tuple[Path, ...]
    field: str | None = None

    def __post_init__(self) -> None:
        for path in self.paths:
            refuse_unread(path)
        records = [path for path in self.paths if is_records(path)]
        if records and self.field is None:
            raise DataError(f"{records[0]}: a jsonl file needs `field`, the name of its text")
        if self.field is not None and not records:
            raise DataError(f"{self.paths[0]}: `field: {self.field}` is stated, but no file is a jsonl file")

    @property
    def identity(self) -> list[object]:
        """Path, size and time of change, which distinguish these inputs from others without reading them."""
        return [self.field, *(stamp(path) for path in self.paths)]

    def documents(self, unit: Unit, skip: int = 0) -> Iterator[Document]:
        """Yields every document of every file after the first `skip`; a record of a jsonl file is always one."""
        return islice(self._documents(unit), skip, None)

    def _documents(self, unit: Unit) -> Iterator[Document]:
        for path in self.paths:
            if is_records(path):
                assert self.field is not None  # __post_init__ made sure
                yield from (iter((text,)) for text in _records(path, self.field))
            else:
                yield from cut(read_lines(path), unit)


def stamp(path: Path) -> list[object]:
    """Returns a file's path, size and time of change; if they are unchanged, its content counts as unchanged."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: no such file") from error
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def cut(lines: Iterable[str], unit: Unit) -> Iterator[Document]:
    """Groups lines into documents: all lines together, each line, or each paragraph (separated by blank lines)."""
    if unit == "file":
        yield iter(lines)
    elif unit == "line":
        yield from (iter((line,)) for line in lines)
    else:
        yield from (group for filled, group in groupby(lines, key=_is_filled) if filled)


def find(patterns: Sequence[str], base: Path, places: Mapping[str, str]) -> tuple[Path, ...]:
    """Returns the files of every pattern, each file once, in order of patterns and then of names. Raises DataError for
    a pattern without a file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        place = resolve(pattern, base, places)
        rest = place.relative_to(place.anchor)
        matches = sorted(path for path in Path(place.anchor).glob(str(rest)) if path.is_file())
        if not matches:
            raise DataError(f"no file matches '{pattern}' (looked for {place})")
        found.update(dict.fromkeys(matches))
    return tuple(found)


def resolve(written: str, base: Path, places: Mapping[str, str]) -> Path:
    """Returns a written place as an absolute path. `~` is the home folder, a first part named in `places` is replaced
    by its folder, and other relative places start at `base`, the folder of the file that holds them.
    """
    place = expanded(written)
    if not place.is_absolute() and not written.startswith((".", "/")) and place.parts and place.parts[0] in places:
        place = expanded(places[place.parts[0]]).joinpath(*place.parts[1:])
    return (base / place).absolute()


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, uncompressed by its suffix, without a byte order mark. Raises
    DataError.
    """
    try:
        with path.open("rb") as raw, io.TextIOWrapper(unpacked(path, raw), encoding="utf-8-sig") as file:
            yield from file
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _is_filled(line: str) -> bool:
    return bool(line.strip())


def is_records(path: Path) -> bool:
    """Whether a file, compressed or not, holds one JSON value in each line."""
    return kind(path) in (".jsonl", ".ndjson")


def _records(path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)[field]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a JSON object with a field '{field}'") from error
        if not isinstance(text, str):
            raise DataError(f"{path}:{number}: the field '{field}' is {type(text).__name__}, not text")
        yield text
