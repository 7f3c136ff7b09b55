"""A rank that trains one run after another, so that a launch serves many tests: tests.training.rank_worker JOBS.json.

A job: {"experiment", "execution", "out", "until": step | null, "branch": step | null, "seeds": [of each rank] | null,
"scale": [initial, growth] | null,
"nan": [rank, since, until, cured] (see faults.Fault; a number or two will do) | null, "leave": [folder of a small disk,
free bytes] | null,
"slow": [rank, seconds a step] | null, "room": [bytes free of each rank] | null}.
Each rank writes JOBS.<rank>: for every job the state and how often this rank fine-tuned, or the error and its exit
code.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from pld_search.cli.ranks import place
from pld_search.errors import PldSearchError
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import evaluation, micro_batch, precision, step
from pld_search.training.branch import branch
from pld_search.training.parallel.rank_group import Ranks, open_ranks
from pld_search.training.train_run import train
from tests.small_disk import leave_free
from tests.training.faults import Fault

FORWARD_BACKWARD = step.forward_backward
FINETUNE_ONCE = evaluation.finetune_once
USUAL = precision.INITIAL_SCALE, precision.GROWTH_INTERVAL


def poison(rank: int, fault: Fault, ranks: Ranks) -> None:
    """While the fault strikes, the loss of one rank and its gradients are NaN."""

    def faulty(setup: Any, state: Any, number: int, batch: Any, gates: Any, second: Any = ()) -> torch.Tensor:
        if ranks.rank != rank or not fault.strikes(setup, number):
            return FORWARD_BACKWARD(setup, state, number, batch, gates, second)
        backward = state.numerics.backward
        state.numerics.backward = lambda loss: backward(loss * float("nan"))
        try:
            return FORWARD_BACKWARD(setup, state, number, batch, gates, second) * float("nan")
        finally:
            del state.numerics.backward

    step.forward_backward = faulty


def delay(rank: int, seconds: float, ranks: Ranks) -> None:
    """One rank begins every step later than the others."""

    def late(*arguments: Any) -> torch.Tensor:
        time.sleep(seconds if ranks.rank == rank else 0)
        return FORWARD_BACKWARD(*arguments)

    step.forward_backward = late


def done(job: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    prepare(job, ranks)
    tuned: list[str] = []
    evaluation.finetune_once = lambda setup, task, *more: tuned.append(task.name) or FINETUNE_ONCE(setup, task, *more)  # type: ignore[func-returns-value]
    what = dict(job["experiment"])
    if job.get("seeds"):
        what["seed"] = job["seeds"][ranks.rank]
    spec, how, out = Experiment(**what), Execution(**job["execution"]), Path(job["out"])
    try:
        if job.get("branch"):
            record = branch(spec, how, out, job["branch"], ranks=ranks)
        else:
            record = train(spec, how, out, until=job.get("until"), ranks=ranks)
    except PldSearchError as error:
        return {"error": str(error), "code": error.exit_code}
    return {"state": record.state, "step": record.step, "tuned": len(tuned)}


def prepare(job: dict[str, Any], ranks: Ranks) -> None:
    """What a job asks for beside its files, and nothing of the job before."""
    step.forward_backward = FORWARD_BACKWARD
    precision.INITIAL_SCALE, precision.GROWTH_INTERVAL = job.get("scale") or USUAL
    if job.get("nan"):
        rank, *more = job["nan"]
        poison(rank, Fault("nan", *more), ranks)
    if job.get("room"):
        micro_batch.room_of = lambda *_: job["room"][ranks.rank]
    if job.get("slow"):
        delay(*job["slow"], ranks)
    if job.get("leave"):
        disk, free = job["leave"]
        ranks.first_does(lambda: leave_free(Path(disk), free))


def main(file: Path) -> None:
    jobs = json.loads(file.read_text())
    here = place()
    assert here is not None
    with open_ranks(here, Execution(mode="shard")) as ranks:
        found = {name: done(job, ranks) for name, job in jobs.items()}
    file.with_suffix(f".{here.rank}").write_text(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
