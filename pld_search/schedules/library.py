"""The shipped files, by name: `schedules/` and `spaces/` of a checkout, or their copies inside an installed wheel."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from pld_search.errors import ConfigError, KeyPath, Mark, Problem

Kind = Literal["schedules", "spaces"]
_ONE: dict[Kind, str] = {"schedules": "schedule", "spaces": "study"}
_PACKAGE = Path(__file__).resolve().parents[1]


def folder(kind: Kind) -> Path:
    """Where the shipped files of one kind lie. A wheel carries them in `pld_search/_shipped`; a checkout beside the package."""
    packaged = _PACKAGE / "_shipped" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def shipped(kind: Kind) -> dict[str, Path]:
    """Name -> file of everything shipped of one kind, sorted by name."""
    return {path.stem: path for path in sorted(folder(kind).glob("*.yaml"), key=lambda path: path.stem)}


def names() -> list[str]:
    """The names of the shipped schedules, sorted."""
    return list(shipped("schedules"))


def path_of(name: str, kind: Kind = "schedules", *, path: KeyPath = (), mark: Mark | None = None) -> Path:
    """The file shipped under a name. Raises ConfigError, for the key that says it, with the names there are and the nearest one."""
    files = shipped(kind)
    if name in files:
        return files[name]
    close = difflib.get_close_matches(name, files, n=1)
    raise ConfigError(Problem(f"no {_ONE[kind]} of this name", path, mark, " | ".join(files), name, close[0] if close else None))
