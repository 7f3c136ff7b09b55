"""Computes figures from bursts: medians with their spread, and ratios of bursts that were timed side by side."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

from pld_search.bench.candidates import Candidate
from pld_search.bench.timed_job import Burst
from pld_search.frozen import Spec


class Figure(Spec):
    """A median and its quartiles."""

    median: float
    low: float
    high: float


class FigureRow(Spec):
    """One candidate and its raw bursts.

    ratio: its time divided by the baseline's time of the same round; below 1 is faster. excess: `ratio` divided by the
    ratio of their FLOPs, burst by burst; it is 1 when a saved FLOP is a saved second, independent of the layers that
    the drawn plans of the timed steps happened to keep. Both are None for the baseline.
    """

    name: str
    warm_up_seconds: float
    step_ms: Figure
    tokens_per_second: Figure
    flops_per_second: float
    outside: float | None
    peak_bytes: int
    forecast_bytes: int | None = None
    micro_batch: int
    ratio: Figure | None
    flops_ratio: float | None
    excess: Figure | None
    bursts: tuple[Burst, ...]


def figure(values: Sequence[float]) -> Figure:
    """Returns median and quartiles; all three equal a single value."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Figure(median=median(values), low=low, high=high)


def row(candidate: Candidate, baseline: Candidate | None, warm_up: float, tokens: int) -> FigureRow:
    """Returns the figures of a candidate; its times are divided by the times of `baseline`."""
    bursts = candidate.bursts
    assert candidate.peak is not None
    step = [burst.seconds / burst.steps for burst in bursts]
    pairs = [] if baseline is None else list(zip(bursts, baseline.bursts, strict=True))
    return FigureRow(
        name=candidate.name,
        warm_up_seconds=warm_up,
        step_ms=figure([1000 * seconds for seconds in step]),
        tokens_per_second=figure([tokens / seconds for seconds in step]),
        flops_per_second=median(burst.flops / burst.seconds for burst in bursts),
        outside=_outside(bursts),
        peak_bytes=candidate.peak.bytes,
        forecast_bytes=candidate.peak.forecast,
        micro_batch=candidate.peak.micro_batch,
        ratio=figure([one.seconds / other.seconds for one, other in pairs]) if pairs else None,
        flops_ratio=sum(one.flops for one, _ in pairs) / sum(other.flops for _, other in pairs) if pairs else None,
        excess=figure([one.seconds / other.seconds / (one.flops / other.flops) for one, other in pairs])
        if pairs
        else None,
        bursts=tuple(bursts),
    )


def _outside(bursts: Sequence[Burst]) -> float | None:
    """Returns the share of a step outside forward, backward and optimizer."""
    inside = [burst.inside for burst in bursts if burst.inside is not None]
    return 1 - sum(inside) / sum(burst.seconds for burst in bursts) if inside else None
