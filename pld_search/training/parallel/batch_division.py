"""Whether a batch can be divided among ranks and micro-batches so that each runs the same blocks at the same time."""

from __future__ import annotations

from pld_search.errors import Problem
from pld_search.schedules.staged_values import stages_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment


def check_ranks(experiment: Experiment, execution: Execution, world: int) -> list[Problem]:
    """Returns the problems of `world` ranks (or one) with this execution; every rank finds the same problems."""
    batch, strata, micro = experiment.batch, experiment.schedule.draw.strata, execution.micro_batch
    problems = []
    if experiment.optimizer.kind == "muon" and execution.mode == "shard":
        rule = "`optimizer.kind: muon` orthogonalises whole matrices, and shards have parts of them"
        problems.append(Problem(rule, ("mode",), allowed="single | replicate", given="shard"))
    uneven = [(place, size) for place, size in stages_of(batch.sequences) if size % (batch.groups * world)]
    if uneven:
        rule = (
            f"every rank takes an equal part of every group, and {batch.groups} groups x {world} ranks do not "
            "divide the batch"
        )
        path, allowed = ("batch", "sequences"), f"a multiple of {batch.groups * world}"
        one = isinstance(batch.sequences, int)
        return problems + [
            Problem(rule, path if one else (*path, place), allowed=allowed, given=str(size)) for place, size in uneven
        ]
    part = batch.per_group // world
    broken = [] if strata is None else [size for size in batch.group_sizes if size // world % strata]
    if broken:
        rule = (
            f"a rank's part of a group holds whole strata, so that every rank enters every layer; with {world} "
            f"ranks it has {broken[0] // world} sequences"
        )
        problems.append(
            Problem(
                rule,
                ("schedule", "draw", "strata"),
                allowed=f"a divisor of {broken[0] // world}",
                given=str(strata),
            )
        )
    elif strata is not None and isinstance(micro, int) and micro < part and micro % strata:
        rule = "a micro-batch holds whole strata, so that each runs equally many rows of every layer"
        problems.append(
            Problem(rule, ("micro_batch",), allowed=f"a multiple of {strata} (schedule.draw.strata)", given=str(micro))
        )
    return problems
