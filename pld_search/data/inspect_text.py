"""Examines a user's text before anything is prepared: format, field, documents and size, from the first bytes of a few
files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pld_search.data.compressed_files import UNREADABLE, is_packed, refuse_unread, unpacked
from pld_search.data.text_sources import Unit, find, is_records
from pld_search.errors import DataError

_FILES, _BYTES = 5, 1 << 20  # the largest number of files that are read, and of bytes of each
_LIKELY = ("text", "abstract", "content", "body", "document", "article")
_MANY_FILES = 20


@dataclass(frozen=True, slots=True)
class TextLook:
    """The result of an examination; `documents` and `characters` are estimates.

    `fields`: the text fields of records, by their mean length. `document`: the unit of a document, for files without
    records.
    """

    files: int
    packed_bytes: int
    documents: int
    characters: int
    fields: tuple[str, ...] = ()
    document: Unit | None = None

    @property
    def field(self) -> str | None:
        """The probable text of a record: a field with a usual name, else the longest."""
        return next((name for name in _LIKELY if name in self.fields), self.fields[0] if self.fields else None)


def look(patterns: Sequence[str], base: Path) -> TextLook:
    """Examines the files of `patterns`. Raises DataError for a pattern without a file and for files that are neither
    text nor JSON lines.
    """
    paths = find(patterns, base, {})
    for path in paths:
        refuse_unread(path)
    sizes = [path.stat().st_size for path in paths]
    kinds = {is_records(path) for path in paths}
    if len(kinds) > 1:
        raise DataError(
            f"both JSON lines and plain text match ({paths[0].name}, ...); name one kind, or write the study by hand"
        )
    chosen = [path for path in paths if path.stat().st_size][:: max(1, len(paths) // _FILES)][:_FILES]
    heads = [_head(path) for path in chosen]
    lines = [line for text, _ in heads for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{paths[0]}: there is no text in the files that match")
    read = max(1, sum(consumed for _, consumed in heads))
    factor = sum(sizes) / read
    characters = round(sum(len(text) for text, _ in heads) * factor)
    if kinds == {True}:
        fields = _fields(lines, chosen[0])
        return TextLook(len(paths), sum(sizes), max(1, round(len(lines) * factor)), characters, fields)
    unit, documents = _unit(len(paths), [text for text, _ in heads], factor)
    return TextLook(len(paths), sum(sizes), documents, characters, document=unit)


def _head(path: Path) -> tuple[str, int]:
    """Returns whole lines from a file's beginning, and the number of the file's bytes that they take."""
    try:
        with path.open("rb") as raw:
            content = unpacked(path, raw).read(_BYTES)
            consumed = raw.tell() if is_packed(path) else len(content)
            whole = len(content) < _BYTES
        return (content if whole else content[: content.rfind(b"\n") + 1]).decode(
            "utf-8-sig"
        ), path.stat().st_size if whole else consumed
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _fields(lines: Sequence[str], path: Path) -> tuple[str, ...]:
    """Returns the fields that hold text in nearly every record, the longest first."""
    lengths: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            texts = {name: value for name, value in record.items() if isinstance(value, str)}
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path}: record {number} of those looked at is not a JSON object") from error
        lengths.update({name: len(text) for name, text in texts.items()})
        held.update(texts.keys())
    found = tuple(name for name, _ in lengths.most_common() if held[name] >= 0.95 * len(lines))
    if not found:
        raise DataError(
            f"{path}: no field holds text in every record; there are {', '.join(sorted(held)) or 'no text fields'}"
        )
    return found


def _unit(files: int, texts: Sequence[str], factor: float) -> tuple[Unit, int]:
    """Returns the unit of a document and the number of documents: files if there are many, else paragraphs if blank
    lines separate them, else lines.
    """
    if files >= _MANY_FILES:
        return "file", files
    paragraphs = sum(sum(1 for part in text.split("\n\n") if part.strip()) for text in texts)
    if paragraphs > 2 * len(texts):
        return "paragraph", round(paragraphs * factor)
    return "line", round(sum(1 for text in texts for line in text.splitlines() if line.strip()) * factor)
