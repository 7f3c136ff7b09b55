"""One step: forward and backward of every group under its own gates, then one clipped update of the used weights.

The loss is the objective's loss over the global batch, independent of its division into groups and micro-batches. A
block or half-block that no group keeps has gradients None; the schedule's `skipped` says how the update treats it
(dropped_weights.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pld_search.model.deepen import as_deep_as
from pld_search.pretraining.batch_tensors import GroupedBatch
from pld_search.schedules.hash_words import seed_word
from pld_search.schedules.micro_batch_gates import executed, of_micro_batch
from pld_search.schedules.plan import AnyGates
from pld_search.training import dropped_weights
from pld_search.training.optimizer import set_lr
from pld_search.training.parallel.sharding import gather_gradients
from pld_search.training.setup import Setup
from pld_search.training.state import State
from pld_search.training.telemetry import InFlight


def train_step(setup: Setup, state: State, step: int, batch: GroupedBatch) -> InFlight:
    """Runs step t = `step` (0-based) of the run."""
    groups = range(len(batch))
    gates = [setup.plan.at(step, group) for group in groups]
    second = [setup.second_plan.at(step, group) for group in groups] if setup.second_plan is not None else []
    set_lr(state.optimizer, setup.rate.at(step))
    begun = setup.clock.mark()
    loss = setup.ranks.total(forward_backward(setup, state, step, batch, gates, second))
    turned = setup.clock.mark()
    norm = _update(setup, state, step)
    state.optimizer.zero_grad(set_to_none=True)
    scale = state.numerics.scale()
    numbers = torch.stack([loss, norm] if scale is None else [loss, norm, scale]).to("cpu", non_blocking=True)
    size, ended = setup.group_size(step), setup.clock.mark()
    return InFlight(step + 1, executed(gates, size), numbers, begun, turned, ended, executed(second, size))


def _update(setup: Setup, state: State, step: int) -> Tensor:
    """Runs one clipped update; the schedule's `skipped` says how it treats weights that no group kept. Returns the
    gradient norm (0-d, on the device).
    """
    spec, treated = setup.experiment.optimizer, [(setup.experiment.schedule.skipped, state.model.blocks)]
    if setup.second_plan is not None:
        treated.append((setup.second_plan.schedule.skipped, state.model.second_blocks))
    for treatment, blocks in treated:
        if treatment == "zero_grad":
            dropped_weights.zero_gradients(blocks.parameters())
    norm = state.numerics.step(state.optimizer, state.parameters, spec.clip)
    for treatment, blocks in treated:
        if treatment == "decay":
            dropped_weights.decay(blocks.parameters(), setup.rate.at(step) * spec.weight_decay, norm)
    return norm


def forward_backward(
    setup: Setup,
    state: State,
    step: int,
    batch: GroupedBatch,
    gates: Sequence[AnyGates | None],
    second: Sequence[AnyGates] = (),
) -> Tensor:
    """Adds the gradients of the step's loss. Returns this rank's share of the loss (0-d, on the device). Gates of None
    mean full depth. `second` are the gates of a second network; without them it runs whole.

    Ranks sum their gradients in the last backward pass. Dropout is keyed by (step, group, rank, micro-batch): the
    global generator is seeded right before each forward pass. Pre-training uses it nowhere else, so its state is
    not saved.
    """
    total = torch.zeros((), device=setup.device)
    for group, (micro_batches, gate) in enumerate(zip(batch, gates, strict=True)):
        for index, part in enumerate(micro_batches):
            if part.empty and setup.ranks.mesh is None:
                continue
            if setup.ranks.mesh is not None:
                gather_gradients(state.model, group == len(batch) - 1 and index == len(micro_batches) - 1)
            first, size = part.first, len(part.input_ids)
            own = None if gate is None else of_micro_batch(gate, first, size)
            other = of_micro_batch(second[group], first, size) if second else None
            torch.manual_seed(seed_word(setup.experiment.seed, _dropout_key(group, setup.ranks.rank), step, index))
            with state.numerics.autocast():
                loss = setup.objective.loss(state.model, replace(part.to(setup.device), second=other), own)
            state.numerics.backward(loss)
            total += loss.detach()
    return total


def _dropout_key(group: int, rank: int) -> str:
    return f"dropout:{group}:{rank}" if rank else f"dropout:{group}"


def probe_full_depth(setup: Setup, state: State, step: int, batch: GroupedBatch) -> float:
    """Returns the seconds of a full-depth forward and backward on the batch of a step. Its gradients are discarded, and
    nothing changes.

    Full depth means the whole architecture: for layers that do not exist yet, existing layers run instead.
    """
    with as_deep_as(state.model, setup.experiment.model.layers):
        begun = setup.clock.mark()
        forward_backward(setup, state, step, batch, [None] * len(batch))
        turned = setup.clock.mark()
    state.optimizer.zero_grad(set_to_none=True)
    return setup.clock.seconds(begun, turned)
