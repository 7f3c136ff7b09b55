"""The cost of a step of a row relative to a step of the reference: a number that compares architectures.

`saved/flops` and `speed/relative` compare a row with its own architecture at full depth. By these two, a shallower
model saves nothing, although its step is cheaper. This module compares both steps directly: the executed FLOPs and the
seconds of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.costs.positions import positions_read
from pld_search.report.comparison import SystemRow


@dataclass(frozen=True, slots=True)
class StepCost:
    """A step of a row as a share of a step of the reference, 1 for equal: executed `flops`, measured `seconds`. None
    when one of the two is unknown.
    """

    flops: float | None = None
    seconds: float | None = None


def step_cost(row: SystemRow, reference: SystemRow | None) -> StepCost:
    """Returns the cost of a step of the row; empty without a reference."""
    if reference is None:
        return StepCost()
    return StepCost(
        _ratio(_step_tflop(row), _step_tflop(reference)), _ratio(_step_seconds(row), _step_seconds(reference))
    )


def _ratio(own: float | None, theirs: float | None) -> float | None:
    return None if own is None or not theirs else own / theirs


def _step_tflop(row: SystemRow) -> float | None:
    spent = row.mean("progress/tflop")
    return None if spent is None or not row.steps else spent / row.steps


def _step_seconds(row: SystemRow) -> float | None:
    """Returns the seconds of a training step from its tokens (a mean over the run when sequences grow)."""
    rate = row.mean("speed/tokens_per_second")
    if not rate or row.experiment is None:
        return None
    what = row.experiment
    return positions_read(what.data, what.batch, what.steps) / what.steps / rate
