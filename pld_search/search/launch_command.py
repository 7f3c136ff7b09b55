"""The command that a launcher starts: one launch of one run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Start:
    """A launch of the run whose `experiment.yaml` and `execution.yaml` lie in `folder`: `ranks` processes on each of
    `nodes` nodes.
    """

    folder: Path
    ranks: int = 1
    until: int | None = None
    branch: int | None = None
    nodes: int = 1

    @property
    def part(self) -> list[str]:
        """Options of `train` for a part of the run: up to a rung, or the branch that leaves it there; empty for the
        whole run.
        """
        if self.branch is not None:
            return ["--branch", str(self.branch)]
        return ["--until", str(self.until)] if self.until is not None else []


Command = Callable[[Start], Sequence[str]]
"""The command of a launch; it exits when the run has ended or cannot go on."""


def train_command(start: Start) -> list[str]:
    """Returns `pld-search train` on the run's folder; `--ranks` starts several ranks on each node."""
    ranks = ["--ranks", str(start.ranks)] if start.ranks * start.nodes > 1 else []
    return [
        sys.executable,
        "-m",
        "pld_search",
        "train",
        str(start.folder / "experiment.yaml"),
        "--out",
        str(start.folder),
        *start.part,
        *ranks,
    ]
