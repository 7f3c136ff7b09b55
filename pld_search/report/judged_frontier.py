"""The frontier: the best model that drops layers against the best model that does not, over all depths of a study.

Only declared rows with the reference's FLOPs count, and the frontier is judged once. A study with one depth has no
frontier: its rows are compared with the reference alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pld_search.spaces.decide import Decide
from pld_search.statistics.blocked import Values
from pld_search.statistics.frontier import BestAgainstBest, best_against_best
from pld_search.statistics.spread import Spread


@dataclass(frozen=True, slots=True)
class DepthPoint:
    """One row of the frontier: the `layers` of its model, whether it drops layers in training, and its primary
    metric.
    """

    label: str
    layers: int
    drops: bool
    spread: Spread


@dataclass(frozen=True, slots=True)
class Frontier:
    """All rows at equal FLOPs, and the best dropped row against the best full row."""

    points: tuple[DepthPoint, ...]
    found: BestAgainstBest


def frontier(
    points: Sequence[DepthPoint], values: Values, architectures: Mapping[str, str], decide: Decide
) -> Frontier | None:
    """Returns the frontier of `points`; None unless full-depth rows have two depths and some row drops layers."""
    dropped = [point.label for point in points if point.drops]
    full = [point.label for point in points if not point.drops]
    if not dropped or len({point.layers for point in points if not point.drops}) < 2:
        return None
    try:
        found = best_against_best(
            values,
            dropped,
            full,
            architecture=architectures,
            margin=decide.margin_value,
            alpha=decide.alpha,
            less_is_better=decide.less_is_better,
        )
    except ValueError:
        return None  # rows without a seed in common
    return Frontier(tuple(points), found)
