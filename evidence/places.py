"""The folders of the evidence's code, runs and records."""

from __future__ import annotations

import os
from pathlib import Path

DESIGNS = Path(__file__).parent
"""This folder, in the current checkout."""
ROOT = DESIGNS.parent
RECORDS = DESIGNS / "records"
"""Packed records, one folder for each study, committed."""
BASE = "57a82341329b1b24bd7fed05fa4772c18a8db762"
"""The commit whose code trains every run of stages A, B and C."""
HOME = "PLD_SEARCH_EVIDENCE"
"""The variable with the folder of the background's code, environment and runs."""


class Home:
    """A folder outside the checkout: `code` (a clone at BASE with its own environment), `designs` (the studies being
    run), `runs`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        stated = os.environ.get(HOME, "~/.cache/pld-search/evidence")
        self.folder = (folder or Path(stated)).expanduser().absolute()
        self.code, self.designs, self.runs = self.folder / "code", self.folder / "designs", self.folder / "runs"
        self.program = self.code / ".venv" / "bin" / "pld-search"
        self.note, self.log, self.paused = (
            self.folder / "background.json",
            self.folder / "background.log",
            self.folder / "paused",
        )


def studies(designs: Path = DESIGNS) -> list[Path]:
    """Returns the study files in the order of their runs: `a/study.yaml`, `b1/study.yaml`, ... `c/block-0.yaml`, ..."""
    return sorted(path for path in designs.glob("[a-z]*/*.yaml") if path.parent.name in ("a", "b1", "b2", "c"))


def name_of(study: Path) -> str:
    """Returns a study's name, also its folder's: the stage, with the block for a stage of several blocks."""
    stage = f"evidence-{study.parent.name}"
    return stage if study.stem == "study" else f"{stage}-{study.stem}"
