"""Reads runs from the packed records, the only source of results and later designs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evidence.places import RECORDS
from pld_search.records.packed_records import MACHINE, run_folder, unpack
from pld_search.records.study_record import view


@dataclass(frozen=True, slots=True)
class Run:
    """One packed run: its row, its seed, its end, and its last values (nats, shares, FLOPs) by name.

    machine: the recorded facts of its machine. began, ended: Unix seconds.
    """

    study: str
    row: str
    trial: int
    index: int
    seed: int
    state: str
    final: Mapping[str, float]
    experiment: Mapping[str, Any]
    corpus: Mapping[str, Any]
    commit: str
    machine: Mapping[str, str]
    began: float
    ended: float

    @property
    def loss(self) -> float | None:
        """`test/loss` of a finished run; None for a diverged run."""
        return self.final.get("test/loss") if self.state == "finished" else None

    @property
    def tokens(self) -> int:
        """The number of positions that the run read."""
        return int(self.experiment["steps"] * self.experiment["batch"]["sequences"] * self.experiment["data"]["length"])

    @property
    def epochs(self) -> float:
        """The number of passes over the training text."""
        return float(self.tokens / self.corpus["tokens"]["train"])


def runs_of(study: str, records: Path = RECORDS) -> list[Run]:
    """Returns the packed runs of a study, by trial and seed; empty when nothing is packed."""
    with TemporaryDirectory() as folder:
        if not unpack(records / study, Path(folder) / study):
            return []
        seen = view(Path(folder) / study)
    found = []
    for (trial, index), run in sorted(seen.runs.items()):
        if run.state in ("finished", "diverged"):
            row = str(seen.study.trials[trial].system)
            machine = json.loads((run_folder(records / study, trial, index) / MACHINE).read_text())
            times = (run.first_time or 0.0, run.last_time or 0.0)
            found.append(
                Run(
                    study,
                    row,
                    trial,
                    index,
                    int(run.seed or 0),
                    run.state,
                    run.final,
                    run.experiment_tree,
                    run.corpus,
                    str(run.provenance["commit"]),
                    machine,
                    *times,
                )
            )
    return found
