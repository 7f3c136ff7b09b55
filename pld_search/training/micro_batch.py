"""`micro_batch: auto`: the largest micro-batch that fits. The memory forecast finds it, and on CUDA two steps test it.

It is a divisor of a rank's part of a group, so that all micro-batches are equal. A run keeps its first micro-batch
(dropout is keyed by the micro-batch's number): an attempt reads it from the events of the attempt before, and takes the
next smaller one only after an attempt that ran out of memory. On a CPU there is no trial: the system kills a process
without an error.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace

import torch

from pld_search.costs.memory import memory_of
from pld_search.errors import ConfigError, Problem
from pld_search.records.run_record import RunRecord
from pld_search.training.device import compute_settings, synchronize
from pld_search.training.measurable import measurable
from pld_search.training.room import room_of
from pld_search.training.setup import Fit, Setup, open_setup
from pld_search.training.state import fresh
from pld_search.training.step import forward_backward, train_step

TRIAL_STEPS = 2
"""The first step starts without moments."""


def fitted(setup: Setup, earlier: RunRecord | None = None) -> Setup:
    """Returns the setup with its micro-batch: the stated one; with `auto` the micro-batch of the `earlier` record of
    the run, else the largest that fits on all ranks.

    Raises ConfigError on every rank if the smallest micro-batch does not fit on one of them.
    """
    if setup.fit is not None:
        return setup
    sizes = candidates(setup)
    kept = None if earlier is None else _recorded(earlier, sizes)
    if kept is not None:
        return replace(setup, fit=kept)
    found = setup.ranks.each(lambda: _largest(setup, sizes))
    (least,) = setup.ranks.highest(-found.size)
    return replace(setup, fit=replace(found, size=-least))


def candidates(setup: Setup) -> list[int]:
    """Returns the divisors of a rank's part of a group that hold whole strata, the largest first."""
    part, strata = setup.part, setup.experiment.schedule.draw.strata or 1
    return [size for size in range(part, 0, -1) if part % size == 0 and size % strata == 0]


def _recorded(earlier: RunRecord, sizes: Sequence[int]) -> Fit | None:
    """Returns the micro-batch of the last attempt, or the next smaller one if that attempt ran out of memory; None if
    these ranks cannot use its size.
    """
    size = earlier.micro_batch
    if size is None or size not in sizes:
        return None
    if (earlier.state, earlier.kind) != ("failed", "out_of_memory"):
        return Fit(size, "recorded")
    return Fit(next((smaller for smaller in sizes if smaller < size), size), "out_of_memory")


def _largest(setup: Setup, sizes: Sequence[int]) -> Fit:
    """Returns the largest of `sizes` that fits into the memory of this rank."""
    device = setup.device.type
    room = room_of(setup.execution, setup.device, setup.ranks.world)
    needed = {
        size: memory_of(setup.experiment, setup.execution, size, setup.ranks.world).needed(device) for size in sizes
    }
    fitting = [size for size in sizes if needed[size] <= room]
    chosen = next(iter(fitting), None)
    if device == "cuda":  # the smallest size is tried in any case: the forecast may be too high for it
        chosen = next((size for size in fitting or sizes[-1:] if proven(setup, size)), None)
    if chosen is None:
        rule = "not even the smallest micro-batch fits into the memory that is free"
        least = f"{needed[sizes[-1]] / 1e9:.2f} GB free for {sizes[-1]} sequences of a forward"
        raise ConfigError(Problem(rule, ("micro_batch",), allowed=least, given=f"auto, with {room / 1e9:.2f} GB"))
    return Fit(chosen, "trial" if device == "cuda" else "forecast", needed[chosen], room)


def proven(setup: Setup, size: int) -> bool:
    """Returns whether two steps at full depth with micro-batches of `size` sequences find enough memory; all of it is
    freed again.

    Each rank tries alone, so that a failing rank does not block the others. It tries the whole model; if ranks hold
    shards, it tries without moments (whole weights and gradients need no less than half of the weights, gradients and
    moments together). Compiled blocks run eagerly in the trial.
    """
    execution = setup.execution.model_copy(update={"micro_batch": size, "compile": False})
    alone = replace(setup.ranks, mesh=None, group=None)
    trial = open_setup(measurable(setup.experiment, TRIAL_STEPS), execution, alone)
    with compute_settings(execution, setup.device):
        try:
            _steps(trial, update=setup.execution.mode != "shard" or setup.ranks.world == 1)
            found = True
        except torch.OutOfMemoryError:
            found = False
    gc.collect()  # only here: inside the handler the error still refers to the tensors
    torch.cuda.empty_cache()
    return found


def _steps(setup: Setup, *, update: bool) -> None:
    own = fresh(setup)
    for step in range(TRIAL_STEPS):
        if update:
            train_step(setup, own, step, setup.batch_at(step))
        else:
            forward_backward(setup, own, step, setup.batch_at(step), [None] * setup.experiment.batch.groups)
    synchronize(setup.device)
