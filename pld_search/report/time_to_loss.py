"""The FLOPs and seconds after which a row reaches the reference's final loss, as shares of the reference's total.

The values are read from validation curves of equal seeds, interpolated linearly between two validations. The learning
rate of a run has decayed at its end and not before. So a row that reaches the loss early would have reached it earlier
with a shorter schedule: the share is an upper bound of the cost of an equal loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pld_search.records.run_record import Point, RunRecord
from pld_search.statistics.spread import Spread, quantile

_LOSS, _TFLOP, _SECONDS = "valid/loss", "progress/tflop", "progress/seconds"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A geometric mean over seeds, and its 95 % interval by Student's t in the logarithm; None with one seed."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class TimeToLoss:
    """`reached` of `seeds` runs have reached the reference's final loss, and the ratios are over these runs. A ratio is
    None without any, and has no interval when some runs have not: the amount that they would need is unknown.
    """

    reached: int
    seeds: int
    flops: Ratio | None
    seconds: Ratio | None


def time_to_loss(runs: Mapping[int, RunRecord], reference: Mapping[int, RunRecord]) -> TimeToLoss | None:
    """Compares a row's finished runs with the reference's runs of equal seeds; None without a common seed."""
    pairs = [(runs[seed], reference[seed]) for seed in sorted(set(runs) & set(reference))]
    pairs = [pair for pair in pairs if all(run.series.get(_LOSS) and run.final.get(_TFLOP) for run in pair)]
    if not pairs:
        return None
    flops = [_share(run, other, run.series, other.final, _TFLOP) for run, other in pairs]
    seconds = [_share(run, other, run.timing, other.final, _SECONDS) for run, other in pairs]
    return TimeToLoss(
        sum(share is not None for share in flops), len(pairs), _ratio(flops, len(pairs)), _ratio(seconds, len(pairs))
    )


def _share(
    run: RunRecord,
    reference: RunRecord,
    spent: Mapping[str, Sequence[Point]],
    whole: Mapping[str, float],
    name: str,
) -> float | None:
    """Returns the run's cost at the step where it reached the loss, as a share of the reference's total."""
    target, at = reference.series[_LOSS][-1][1], dict(spent.get(name, ()))
    if not whole.get(name):
        return None
    before: tuple[float, float] | None = None
    for step, loss in run.series[_LOSS]:
        if step not in at:
            continue
        if loss <= target:
            part = 1.0 if before is None or before[1] == loss else (before[1] - target) / (before[1] - loss)
            begun = at[step] if before is None else before[0]
            return (begun + part * (at[step] - begun)) / whole[name]
        before = at[step], loss
    return None


def _ratio(shares: Sequence[float | None], seeds: int) -> Ratio | None:
    known = Spread.of([math.log(share) for share in shares if share]) if any(shares) else None
    if known is None:
        return None
    interval = None
    if known.sd is not None and known.n == seeds:
        half = quantile(known.n - 1) * known.sd / math.sqrt(known.n)
        interval = math.exp(known.mean - half), math.exp(known.mean + half)
    return Ratio(math.exp(known.mean), interval)
