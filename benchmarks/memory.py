"""Compares the memory forecast with real training, with and without recomputed blocks, on a CPU.

    python benchmarks/memory.py --out benchmarks/results/DATE-memory.json

Each row trains a few steps in a separate process (the worker of `pld-search bench`) and reads its largest resident
memory above its value before the model was built. The row is measured twice: with the C library's default allocator,
and with MALLOC_MMAP_THRESHOLD_=65536, which returns all freed memory to the system, so that resident memory equals live
memory.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from facts import facts

from pld_search.bench.candidates import Candidate
from pld_search.bench.synthetic_corpus import synthetic_corpus
from pld_search.bench.timed_job import TimedJob
from pld_search.bench.timed_shapes import SHAPES, Case
from pld_search.specs.execution import ActivationCheckpointing, Execution, MicroBatch
from pld_search.specs.experiment import Precision

THRESHOLD = "MALLOC_MMAP_THRESHOLD_"
STEPS = 3


class Asked(NamedTuple):
    shape: str
    length: int
    sequences: int
    micro_batch: MicroBatch | None = None
    precision: Precision = "fp32"


CASES = [
    Asked("tiny", 128, 16),
    Asked("small", 128, 16),
    Asked("small", 128, 16, 4),
    Asked("small", 512, 4),
    Asked("small", 128, 16, None, "bf16"),
]
WAYS: tuple[ActivationCheckpointing, ...] = ("none", 2, "blocks")


def measured(asked: Asked, again: ActivationCheckpointing, cache: Path) -> dict[str, object]:
    """Returns one row: bytes forecast, at the peak, and at the peak without memory that the allocator keeps."""
    corpus = synthetic_corpus(cache, SHAPES[asked.shape].vocabulary)
    case = Case(
        shape=asked.shape,
        length=asked.length,
        sequences=asked.sequences,
        precision=asked.precision,
        dropout=0.1,
        corpus=corpus.digest,
        tokenizer=corpus.tokenizer_digest,
        vocabulary=corpus.vocabulary,
    )
    execution = Execution(
        threads=1,
        micro_batch=asked.micro_batch,
        activation_checkpointing=again,
        deterministic=False,
        folders={corpus.digest: str(corpus.folder)},
    )
    job = TimedJob(engine="pld-search", experiment=case.experiment("full"), execution=execution)
    peaks = [_peak(job, threshold) for threshold in (None, "65536")]
    return {
        **asked._asdict(),
        "activation_checkpointing": again,
        "forecast": peaks[0][0],
        "peak": peaks[0][1],
        "alive": peaks[1][1],
    }


def _peak(job: TimedJob, threshold: str | None) -> tuple[int, int]:
    os.environ.pop(THRESHOLD, None)
    if threshold is not None:
        os.environ[THRESHOLD] = threshold
    with Candidate("a run", job) as candidate:
        candidate.burst(STEPS)
        candidate.end()
    assert candidate.peak is not None and candidate.peak.forecast is not None
    return candidate.peak.forecast, candidate.peak.bytes


def rows(cache: Path) -> Iterator[dict[str, object]]:
    for asked in CASES:
        for again in WAYS:
            yield measured(asked, again, cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/pld-search"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    print("shape   step        forward  precision  recomputed  forecast MB  alive MB  peak MB")
    for row in rows(options.cache):
        found.append(row)
        step, forward = f"{row['sequences']} x {row['length']}", row["micro_batch"] or row["sequences"]
        sizes = "  ".join(f"{int(str(row[name])) / 1e6:>8,.0f}" for name in ("forecast", "alive", "peak"))
        print(
            f"{row['shape']:6}  {step:10}  {forward!s:7}  {row['precision']:9}  "
            f"{row['activation_checkpointing']!s:10}  {sizes}",
            flush=True,
        )
    if options.out:
        options.out.write_text(json.dumps({**facts(), "steps": STEPS, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
