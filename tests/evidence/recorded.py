"""Packed records of runs that were never trained: what results are computed from, with losses of a test's choice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.places import BASE
from pld_search.records.packed_records import pack, run_folder

MACHINE = {"torch": "2.13.0+cpu", "instruction_set": "AVX2"}


@dataclass(frozen=True, slots=True)
class Told:
    """A run to record. `test` is its test/loss, None where it diverged; `valid` its valid/loss."""

    row: str
    seed: int
    test: float | None
    valid: float = 3.0
    lr: float = 2e-3
    final: dict[str, float] = field(default_factory=dict)


def record(name: str, runs: Iterable[Told], folder: Path, records: Path) -> None:
    """Write a study's folder as a coordinator and its runs would, and pack it."""
    study, trials, events = folder / name, dict[str, int](), list[dict[str, Any]]()
    for run in runs:
        if run.row not in trials:
            trials[run.row] = len(trials)
            events.append(
                {"event": "asked", "trial": trials[run.row], "kind": "system", "system": run.row, "seeds": []}
            )
        trial = trials[run.row]
        events[[e["event"] == "asked" and e["trial"] == trial for e in events].index(True)]["seeds"].append(run.seed)
        _write_run(run_folder(study, trial, run.seed) / "events.jsonl", run)
        where = {"trial": trial, "seed_index": run.seed}
        events += [
            {"event": "launched", **where, "launch": 1, "slot": 0},
            {
                "event": "exited",
                **where,
                "launch": 1,
                "code": 0,
                "outcome": "diverged" if run.test is None else "finished",
            },
        ]
    (study / "study.jsonl").write_text(_lines(events))
    pack(study, records / name, MACHINE)


def _write_run(path: Path, run: Told) -> None:
    experiment = {
        "steps": 100,
        "batch": {"sequences": 16},
        "data": {"length": 32},
        "optimizer": {"lr": run.lr},
    }
    started = {
        "event": "started",
        "experiment": experiment,
        "seed": run.seed,
        "corpus": {"tokens": {"train": 25600}},
        "provenance": {"commit": BASE},
    }
    events: list[dict[str, Any]] = [started, {"event": "valid", "metrics": {"valid/loss": run.valid}}]
    if run.test is None:
        events.append({"event": "diverged", "reason": "it did", "kind": "nonfinite_loss", "first_bad_step": 9})
    else:
        metrics = {"progress/tflop": 4.0, "saved/flops": 0.25, **run.final}
        events += [
            {"event": "evaluated", "metrics": {"test/loss": run.test}},
            {"event": "finished", "metrics": metrics, "timing": {}},
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(events))


def _lines(events: list[dict[str, Any]]) -> str:
    told = ({**event, "attempt": 1, "seq": seq, "step": 100, "time": 1.7e9 + seq} for seq, event in enumerate(events))
    return "".join(json.dumps(event) + "\n" for event in told)
