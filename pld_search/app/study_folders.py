"""Finds a study by its name under the runs folder, or by its folder."""

from __future__ import annotations

import difflib
from pathlib import Path

from pld_search.errors import ConfigError, Problem
from pld_search.host.disk import expanded

RECORDS = "study.jsonl"


def study_folder(study: str, runs: Path) -> Path:
    """Returns the folder of an existing study. Raises ConfigError with the known names."""
    for folder in (runs / study, expanded(study)):
        if (folder / RECORDS).is_file():
            return folder
    known = studies(runs)
    close = difflib.get_close_matches(study, known, n=1)
    allowed = (
        f"{' | '.join(known)}, or a folder with {RECORDS}"
        if known
        else f"a folder with {RECORDS}; there is no study in {runs}"
    )
    raise ConfigError(Problem("no such study", allowed=allowed, given=study, suggestion=close[0] if close else None))


def studies(runs: Path) -> list[str]:
    """Returns the names of the studies in a runs folder."""
    return sorted(path.parent.name for path in runs.glob(f"*/{RECORDS}"))
