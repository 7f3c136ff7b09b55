"""A study of ten runs of 60 steps with `worker: fresh` and `worker: warm`, in turns.

Each number covers the whole `pld-search run` with its mirror and report: wall-clock seconds, and processor seconds of
the coordinator and of all processes that it started (`getrusage`). A turn's ratio is fresh over warm; under load only
the processor time is meaningful.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
STUDY = """
name: short
experiment:
  model: {layers: 4, hidden: 32, heads: 2, intermediate: 64, positions: alibi, dropout: 0.1}
  data: {train: {text: ["*.txt"]}, validation: 15 %, test: 15 %, document: file, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8, groups: 2}
  optimizer: {lr: 1e-3}
  precision: fp32
  validation: {every: 50 %, sequences: 16}
  schedule: pld
budget: {steps: 60}
seeds: 5
systems:
  pld: {}
  full: {schedule: full}
reference: pld
"""
MACHINE = "{worker: WORKER, device: cpu, threads: 1, slots: SLOTS, speed_probes: 0, cache: cache}"
DOCUMENTS, REPEATS = 12, 40


def write_study(folder: Path) -> None:
    """Writes the study and a small text that needs no download."""
    for number in range(DOCUMENTS):
        (folder / f"{number}.txt").write_text(f"document {number} says one thing or another thing\n" * REPEATS)
    (folder / "short.yaml").write_text(STUDY)


def measure(folder: Path, worker: str, slots: int, *words: str) -> dict[str, float]:
    """Returns wall-clock and processor seconds of `pld-search WORDS`."""
    (folder / "machine.yaml").write_text(MACHINE.replace("WORKER", worker).replace("SLOTS", str(slots)))
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "pld_search", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": round(time.monotonic() - begun, 1), "processor": round(processor, 1)}


def main(turns: int, slots: int) -> None:
    """Prints one line per turn."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_study(folder)
        measure(folder, "warm", slots, "prepare", "short.yaml")
        for turn in range(1, turns + 1):
            found = {
                worker: measure(folder, worker, slots, "run", "short.yaml", "--runs", f"{worker}-{turn}")
                for worker in ("fresh", "warm")
            }
            ratio = {name: round(found["fresh"][name] / found["warm"][name], 2) for name in found["warm"]}
            print(json.dumps({**found, "ratio": ratio, "load": os.getloadavg()[0]}), flush=True)


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--turns", type=int, default=3)
    words.add_argument("--slots", type=int, default=1)
    given = words.parse_args()
    main(given.turns, given.slots)
