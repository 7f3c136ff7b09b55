"""A rank that trains one run after another, so that a launch serves many tests: torchrun ... -m tests.training.rank_worker JOBS.json.

A job: {"experiment", "execution", "out", "until": step | null, "seeds": [of each rank] | null, "nan": [rank, step] | null, "scale": [..] | null}.
Each rank writes JOBS.<rank>: for every job the state, or the error and its exit code.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from pld_search.errors import PldSearchError
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import precision, step
from pld_search.training.parallel.ranks import Place, Ranks, open_ranks
from pld_search.training.run import train

FORWARD_BACKWARD = step.forward_backward
USUAL = precision.INITIAL_SCALE, precision.GROWTH_INTERVAL


def poison(rank: int, at: int, ranks: Ranks) -> None:
    """From step `at` on, the loss of one rank and its gradients are NaN."""

    def faulty(setup: Any, state: Any, number: int, batch: Any, gates: Any) -> torch.Tensor:
        backward = state.numerics.backward
        if ranks.rank == rank and number >= at:
            state.numerics.backward = lambda loss: backward(loss * float("nan"))
        try:
            loss = FORWARD_BACKWARD(setup, state, number, batch, gates)
        finally:
            state.numerics.__dict__.pop("backward", None)
        return loss

    step.forward_backward = faulty


def done(job: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    step.forward_backward = FORWARD_BACKWARD
    if job.get("nan"):
        poison(*job["nan"], ranks)
    precision.INITIAL_SCALE, precision.GROWTH_INTERVAL = job.get("scale") or USUAL
    what = dict(job["experiment"])
    if job.get("seeds"):
        what["seed"] = job["seeds"][ranks.rank]
    try:
        record = train(Experiment(**what), Execution(**job["execution"]), Path(job["out"]), until=job.get("until"), ranks=ranks)
    except PldSearchError as error:
        return {"error": str(error), "code": error.exit_code}
    return {"state": record.state, "step": record.step}


def main(file: Path) -> None:
    jobs = json.loads(file.read_text())
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    with open_ranks(Place(rank, world, local), Execution(mode="shard")) as ranks:
        found = {name: done(job, ranks) for name, job in jobs.items()}
    file.with_suffix(f".{rank}").write_text(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
