"""What a step of a row costs against a step of the reference: a number that compares architectures.

`saved/flops` and `speed/relative` compare a row with its own architecture at full depth. A shallower model saves
nothing by them, though its step is cheaper. Here both steps are set side by side: what was executed a step, and the
seconds that a step took.
"""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.costs.positions import positions_read
from pld_search.report.comparison import SystemRow


@dataclass(frozen=True, slots=True)
class StepCost:
    """A step of a row as a share of a step of the reference, 1 for equal: `flops` executed, `seconds` measured in the
    runs. None where one of the two is not known.
    """

    flops: float | None = None
    seconds: float | None = None


def step_cost(row: SystemRow, reference: SystemRow | None) -> StepCost:
    """The cost of a step of the row; without a reference nothing is known."""
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
    """Seconds of a step of training, from its tokens (a mean over the run, where sequences get longer)."""
    rate = row.mean("speed/tokens_per_second")
    if not rate or row.experiment is None:
        return None
    what = row.experiment
    return positions_read(what.data, what.batch, what.steps) / what.steps / rate
