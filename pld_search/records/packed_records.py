"""A study's records as compressed files for publication: `study.jsonl` and the `events.jsonl` of every ended run.

A packed run never changes, so packing again adds files and rewrites only the small `study.jsonl.xz`. Files without a
result (active runs, checkpoints, logs, files of Optuna and MLflow) are not packed: a coordinator creates them again.
Beside each run lies `machine.json`, a description of the machine that packed it. The module uses only the standard
library, so that scripts can use it anywhere.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENDED = ("finished", "diverged")
STUDY, EVENTS, MACHINE = "study.jsonl", "events.jsonl", "machine.json"


@dataclass(frozen=True, slots=True)
class Packed:
    """The result of one call: the number of added runs, and the number of packed runs now."""

    added: int
    total: int


def pack(study: Path, records: Path, machine: Mapping[str, Any]) -> Packed:
    """Packs a study's folder into `records`; runs that are already packed stay unchanged.

    `machine` describes the machine of the new runs.
    """
    lines = _whole(study / STUDY)
    if not lines:
        return Packed(0, _count(records))
    added = 0
    for trial, index in ended(json.loads(line) for line in lines):
        events, target = run_folder(study, trial, index) / EVENTS, run_folder(records, trial, index)
        if events.is_file() and not (target / f"{EVENTS}.xz").exists():
            target.mkdir(parents=True, exist_ok=True)
            (target / MACHINE).write_text(json.dumps(machine, sort_keys=True) + "\n", encoding="utf-8")
            _write(target / f"{EVENTS}.xz", b"".join(_whole(events)))
            added += 1
    _write(records / f"{STUDY}.xz", b"".join(lines))
    return Packed(added, _count(records))


def unpack(records: Path, study: Path) -> int:
    """Unpacks records into a study's folder that a coordinator can continue; returns the number of unpacked runs.

    An existing study is not changed: its own records are newer than the packed ones.
    """
    packed = records / f"{STUDY}.xz"
    if not packed.is_file() or (study / STUDY).exists():
        return 0
    runs = sorted(records.glob(f"trials/*/seed-*/{EVENTS}.xz"))
    for path in runs:
        target = study / path.relative_to(records).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lzma.decompress(path.read_bytes()))
    study.mkdir(parents=True, exist_ok=True)
    part = study / f".{STUDY}.part"  # complete or absent: without this file the folder is no study
    part.write_bytes(lzma.decompress(packed.read_bytes()))
    part.replace(study / STUDY)
    return len(runs)


def ended(events: Iterable[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yields (trial, seed index) of every run whose last launch has a result, in the order of their first mention."""
    outcomes: dict[tuple[int, int], str | None] = {}
    for event in events:
        if event["event"] in ("launched", "exited"):
            outcomes[event["trial"], event["seed_index"]] = event.get("outcome")
    yield from (run for run, outcome in outcomes.items() if outcome in ENDED)


def run_folder(folder: Path, trial: int, index: int) -> Path:
    """Returns the folder of a run below a study's folder, packed or not."""
    return folder / "trials" / f"{trial:04d}" / f"seed-{index}"


def read(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a packed file, `study.jsonl.xz` or `events.jsonl.xz`."""
    return [json.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines()]


def _whole(path: Path) -> list[bytes]:
    """Returns the complete lines of a file; its writer may be in the middle of the next line."""
    data = path.read_bytes() if path.is_file() else b""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


def _count(records: Path) -> int:
    return len(list(records.glob(f"trials/*/seed-*/{EVENTS}.xz")))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(data, preset=6))
