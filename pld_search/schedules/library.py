"""Finds the shipped files by name: `schedules/` and `spaces/` of a checkout, or their copies in an installed wheel."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from pld_search.errors import ConfigError, KeyPath, Position, Problem

Kind = Literal["schedules", "spaces"]
_ONE: dict[Kind, str] = {"schedules": "schedule", "spaces": "study"}
_PACKAGE = Path(__file__).resolve().parents[1]


def folder(kind: Kind) -> Path:
    """Returns the folder of the shipped files of one kind: `pld_search/_shipped` in a wheel, beside the package in a
    checkout.
    """
    packaged = _PACKAGE / "_shipped" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def shipped(kind: Kind) -> dict[str, Path]:
    """Returns all shipped files of one kind as name -> file, sorted by name."""
    return {path.stem: path for path in sorted(folder(kind).glob("*.yaml"), key=lambda path: path.stem)}


def names() -> list[str]:
    """Returns the names of the shipped schedules, sorted."""
    return list(shipped("schedules"))


def path_of(
    name: str, kind: Kind = "schedules", *, path: KeyPath = (), mark: Position | None = None, beside: Path | None = None
) -> Path:
    """Returns the file that is shipped under a name.

    Raises ConfigError at key `path` with the known names and a suggestion: a file of this name in the folder `beside`
    (None: the working folder), written as a place, or else the nearest name.
    """
    files = shipped(kind)
    if name in files:
        return files[name]
    near = _as_place(name, beside or Path()) or next(iter(difflib.get_close_matches(name, files, n=1)), None)
    raise ConfigError(Problem(f"no {_ONE[kind]} of this name", path, mark, " | ".join(files), name, near))


def _as_place(name: str, folder: Path) -> str | None:
    """Returns `./NAME` if this file exists, with or without the ending of YAML."""
    try:
        return next(
            (f"./{name}{ending}" for ending in ("", ".yaml", ".yml") if (folder / f"{name}{ending}").is_file()), None
        )
    except OSError:  # a name too long for a file
        return None
