"""What goes where: data on stdout, people's text on stdout too unless data was asked for, then on stderr."""

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
"""The most columns that a picture takes."""
UNBROKEN = 10_000
"""Columns of prose that goes to no terminal: every sentence stays in its line, where programs look for it."""


def emit(value: Any) -> None:
    """One JSON document on stdout. Raises ValueError for NaN or infinity."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def say(text: str = "", *, aside: bool = False) -> None:
    """A line for people, as it is: on stdout, or on stderr where stdout carries data (`aside`)."""
    (sys.stderr if aside else sys.stdout).write(f"{text}\n")


def tell(text: str = "", *, aside: bool = False, hanging: int | None = None) -> None:
    """Prose for people, in lines as long as the terminal is wide; lines that follow are indented by `hanging`."""
    for line in wrapped(text, columns(UNBROKEN), hanging):
        say(line, aside=aside)


def console(file: IO[str] | None = None) -> Console:
    """A console that follows NO_COLOR and the terminal's width; 110 columns without a terminal (COLUMNS wins)."""
    from rich.console import Console

    found = Console(file=file, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        return Console(file=file, highlight=False, width=_TABLE_WIDTH)
    return found


def ui_line(study: str, runs: Path | None, tracking_uri: str | None) -> str:
    """The exact command that opens the MLflow UI on a study."""
    words = ["pld-search ui", study]
    if runs is not None:
        words.append(f"--runs {runs}")
    if tracking_uri is not None:
        words.append(f"--tracking-uri {tracking_uri}")
    return " ".join(words)


def columns(plain: int = PLAIN_WIDTH) -> int:
    """The columns of the terminal (COLUMNS first), `plain` where there is none."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return plain
    return max(40, shutil.get_terminal_size().columns)


def wrapped(text: str, width: int, hanging: int | None = None) -> Iterator[str]:
    """A line as lines of at most `width` columns; those that follow are indented by `hanging`, else as the first is,
    and two more.
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
