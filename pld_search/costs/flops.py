"""FLOPs of one step from the shapes: 2mnk for every matrix product (attention scores included), forward + 2x backward.

Lookups, norms, activations, softmax and the optimizer are not counted, and nothing is counted as recomputed. The
masked-LM head counts at the masked positions only, over the padded vocabulary, as it runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from pld_search.costs.layer import block_flops
from pld_search.costs.objectives import costs_of
from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.pretraining import Pretraining

_FORWARD_AND_BACKWARD = 3


@dataclass(frozen=True, slots=True)
class StepFlops:
    """FLOPs of one global batch, forward and backward, as whole numbers.

    block: one encoder block = attention (projections, scores, weighted sum) + feed_forward.
    head: the heads of the objective.
    rest: matrix products outside blocks and heads, in a second network.
    """

    attention: int
    feed_forward: int
    head: int
    rest: int

    @property
    def block(self) -> int:
        """FLOPs of one encoder block."""
        return self.attention + self.feed_forward

    @property
    def fixed(self) -> int:
        """FLOPs of a step without any block."""
        return self.head + self.rest


@dataclass(frozen=True, slots=True)
class FlopsAt:
    """FLOPs of each step of a run: `each[i]` holds from step `begins[i]` to the next begin. They grow with longer
    sequences and with more masked positions.
    """

    begins: tuple[int, ...]
    each: tuple[StepFlops, ...]

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
    """Returns the FLOPs of each step of a run of `steps` steps: `step_flops` at the length and masking rate of the
    step.
    """
    lengths, rates = data.lengths_at(steps), data.rates_at(steps)
    begins = tuple(sorted({*lengths.begins, *rates.begins}))
    return FlopsAt(
        begins,
        tuple(
            step_flops(model, data.with_rate(rates.at(begin)), batch, lengths.before(begin), pretraining)
            for begin in begins
        ),
    )


def step_flops(
    model: Model,
    data: Data,
    batch: Batch,
    length: int | None = None,
    pretraining: Pretraining | None = None,
) -> StepFlops:
    """Returns the FLOPs of one global batch of `batch.sequences` sequences of `length` positions through `model`.

    length: None means the length at the end of a run. pretraining: the objective, which decides the heads; None means
    masked language modelling. Each group runs its own plan on its share of the batch, so a step executes block x (mean
    over groups of the layers kept).
    """
    length = length or data.final_length
    attention, feed_forward = block_flops(model, batch.sequences, length)
    costs, what = costs_of(pretraining), (model, data, batch.sequences, length)
    return StepFlops(
        attention=_FORWARD_AND_BACKWARD * attention,
        feed_forward=_FORWARD_AND_BACKWARD * feed_forward,
        head=_FORWARD_AND_BACKWARD * costs.head_flops(*what),
        rest=_FORWARD_AND_BACKWARD * costs.rest_flops(*what),
    )
