"""FLOPs of one step from the shapes: 2mnk for every matrix product (attention scores included), forward + 2x backward.

Lookups, norms, activations, softmax and the optimizer are not counted, and nothing is counted as recomputed. The
masked-LM head counts at the masked positions only, over the padded vocabulary, as it runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pld_search.costs.layer import block_flops
from pld_search.costs.objectives import costs_of
from pld_search.schedules.rising_stages import StagesAt
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.pretraining import Pretraining

_FORWARD_AND_BACKWARD = 3


@dataclass(frozen=True, slots=True)
class StepFlops:
    """FLOPs of one global batch, forward and backward, as whole numbers.

    block: one encoder block = attention (projections, scores, weighted sum) + feed_forward.
    head: the heads of the objective.
    rest: matrix products outside blocks and heads, in a second network.
    second: one layer of a second network with its own schedule, (attention, feed_forward). `rest` then excludes the
    layers of that network.
    """

    attention: int
    feed_forward: int
    head: int
    rest: int
    second: tuple[int, int] = (0, 0)

    @property
    def block(self) -> int:
        """FLOPs of one encoder block."""
        return self.attention + self.feed_forward

    @property
    def fixed(self) -> int:
        """FLOPs of a step without any block, and without the layers of a second network with its own schedule."""
        return self.head + self.rest


class SecondStack(NamedTuple):
    """The schedule and the number of layers of a second network with its own schedule (ELECTRA's generator)."""

    schedule: Schedule
    layers: int


@dataclass(frozen=True, slots=True)
class FlopsAt:
    """FLOPs of each step of a run: `each[i]` holds from step `begins[i]` to the next begin. They grow with longer
    sequences, with more masked positions and with larger batches.
    """

    begins: tuple[int, ...]
    each: tuple[StepFlops, ...]
    second: SecondStack | None = None

    def second_at_full_depth(self, of: StepFlops) -> int:
        """Returns the FLOPs of all layers of a second network with its own schedule, in one step; 0 without one."""
        return 0 if self.second is None else self.second.layers * sum(of.second)

    @property
    def final(self) -> StepFlops:
        """FLOPs of a step at the end of the run."""
        return self.each[-1]

    def number(self, step: int) -> int:
        """Returns the number of the stage of step t = `step`, counted from 0."""
        return bisect_right(self.begins, step) - 1

    def ranges(self, total: int) -> Iterator[tuple[int, int, StepFlops]]:
        """Yields (first step, step after the last, FLOPs of each step) of the stages in a run of `total` steps."""
        numbers = StagesAt(self.begins, tuple(range(1, len(self.begins) + 1)))
        for first, last, number in numbers.ranges(total):
            yield first, last, self.each[number - 1]


AnyFlops = StepFlops | FlopsAt
"""FLOPs that are equal at every step, or FLOPs of each step."""


def flops_at(flops: AnyFlops) -> FlopsAt:
    """Returns either form as FLOPs of each step."""
    return flops if isinstance(flops, FlopsAt) else FlopsAt((0,), (flops,))


def run_flops(model: Model, data: Data, batch: Batch, steps: int, pretraining: Pretraining | None = None) -> FlopsAt:
    """Returns the FLOPs of each step of a run of `steps` steps: `step_flops` at the length, the masking rate and the
    batch size of the step.
    """
    lengths, rates, sizes = data.lengths_at(steps), data.rates_at(steps), batch.sizes_at(steps)
    begins = tuple(sorted({*lengths.begins, *rates.begins, *sizes.begins}))

    def at(step: int) -> StepFlops:
        own = data.with_rate(rates.at(step)), batch.of(sizes.before(step)), lengths.before(step)
        return step_flops(model, *own, pretraining)

    second = costs_of(pretraining).second_stack(model)
    return FlopsAt(begins, tuple(at(begin) for begin in begins), None if second is None else SecondStack(*second))


def step_flops(
    model: Model,
    data: Data,
    batch: Batch,
    length: int | None = None,
    pretraining: Pretraining | None = None,
) -> StepFlops:
    """Returns the FLOPs of one global batch of sequences of `length` positions through `model`; the batch is the
    largest of the run.

    length: None means the length at the end of a run. pretraining: the objective, which decides the heads; None means
    masked language modelling. Each group runs its own plan on its share of the batch, so a step executes block x (mean
    over groups of the layers kept).
    """
    length = length or data.final_length
    attention, feed_forward = block_flops(model, batch.most, length)
    costs, what = costs_of(pretraining), (model, data, batch.most, length)
    own = costs.second_layer_flops(model, batch.most, length)
    return StepFlops(
        attention=_FORWARD_AND_BACKWARD * attention,
        feed_forward=_FORWARD_AND_BACKWARD * feed_forward,
        head=_FORWARD_AND_BACKWARD * costs.head_flops(*what),
        rest=_FORWARD_AND_BACKWARD * costs.rest_flops(*what),
        second=(_FORWARD_AND_BACKWARD * own[0], _FORWARD_AND_BACKWARD * own[1]),
    )
