"""Whether a batch can be divided among ranks and micro-batches so that each runs the same blocks at the same time."""

from __future__ import annotations

from pld_search.errors import Problem
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment


def check_ranks(experiment: Experiment, execution: Execution, world: int) -> list[Problem]:
    """Returns the problems of `world` ranks (or one) with this execution; every rank finds the same problems."""
    batch, strata, micro = experiment.batch, experiment.schedule.draw.strata, execution.micro_batch
    problems = []
    if experiment.optimizer.kind == "muon" and execution.mode == "shard":
        rule = "`optimizer.kind: muon` orthogonalises whole matrices, and shards have parts of them"
        problems.append(Problem(rule, ("mode",), allowed="single | replicate", given="shard"))
    if batch.sequences % (batch.groups * world):
        rule = (
            f"every rank takes an equal part of every group, and {batch.groups} groups x {world} ranks do not "
            "divide the batch"
        )
        problems.append(
            Problem(
                rule,
                ("batch", "sequences"),
                allowed=f"a multiple of {batch.groups * world}",
                given=str(batch.sequences),
            )
        )
        return problems
    part = batch.per_group // world
    if strata is not None and part % strata:
        rule = (
            f"a rank's part of a group holds whole strata, so that every rank enters every layer; with {world} "
            f"ranks it has {part} sequences"
        )
        problems.append(
            Problem(rule, ("schedule", "draw", "strata"), allowed=f"a divisor of {part}", given=str(strata))
        )
    elif strata is not None and isinstance(micro, int) and micro < part and micro % strata:
        rule = "a micro-batch holds whole strata, so that each runs equally many rows of every layer"
        problems.append(
            Problem(rule, ("micro_batch",), allowed=f"a multiple of {strata} (schedule.draw.strata)", given=str(micro))
        )
    return problems
