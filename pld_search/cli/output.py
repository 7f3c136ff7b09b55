"""Output: data goes to stdout; text goes to stdout too, or to stderr when data was asked for."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_TABLE_WIDTH = 110

PLAIN_WIDTH = 100
"""Maximum number of columns of a picture."""
UNBROKEN = 10_000
"""Columns of prose outside a terminal: every sentence stays on its line, so that programs can search for it."""


def emit(value: Any) -> None:
    """Writes one JSON document to stdout. Raises ValueError for NaN or infinity."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def say(text: str = "", *, aside: bool = False) -> None:
    """Writes a line of text unchanged: to stdout, or to stderr when stdout carries data (`aside`)."""
    (sys.stderr if aside else sys.stdout).write(f"{text}\n")


def tell(text: str = "", *, aside: bool = False, hanging: int | None = None) -> None:
    """Writes prose wrapped to the terminal's width; continuation lines are indented by `hanging`."""
    for line in wrapped(text, columns(UNBROKEN), hanging):
        say(line, aside=aside)


def console(file: IO[str] | None = None) -> Console:
    """Returns a console that follows NO_COLOR and the terminal's width; without a terminal 110 columns or COLUMNS."""
    from rich.console import Console

    found = Console(file=file, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        return Console(file=file, highlight=False, width=_TABLE_WIDTH)
    return found


def ui_line(study: str, runs: Path | None, tracking_uri: str | None) -> str:
    """Returns the command that opens the MLflow UI on a study."""
    words = ["pld-search ui", study]
    if runs is not None:
        words.append(f"--runs {runs}")
    if tracking_uri is not None:
        words.append(f"--tracking-uri {tracking_uri}")
    return " ".join(words)


def columns(plain: int = PLAIN_WIDTH) -> int:
    """Returns the columns of the terminal (COLUMNS first); `plain` without a terminal."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return plain
    return max(40, shutil.get_terminal_size().columns)


def wrapped(text: str, width: int, hanging: int | None = None) -> Iterator[str]:
    """Yields a text as lines of at most `width` columns. Following lines are indented by `hanging`; without it, by two
    more than the first line.
    """
    indent = len(text) - len(text.lstrip())
    after = " " * (indent + 2 if hanging is None else hanging)
    found = textwrap.wrap(
        text.strip(),
        width,
        initial_indent=" " * indent,
        subsequent_indent=after,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from found or [""]
