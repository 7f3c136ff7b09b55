"""The frontier: the best model that drops layers against the best one that does not, over all depths of a study.

Only declared rows count that spent what the reference did, at one look of their own. A study with one depth has no
frontier: there the reference alone is what dropping is compared with.
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
    """One row of the frontier: `layers` of its model, whether it drops some during training, and its primary metric."""

    label: str
    layers: int
    drops: bool
    spread: Spread


@dataclass(frozen=True, slots=True)
class Frontier:
    """All rows at equal FLOPs, and the best dropped one against the best full one."""

    points: tuple[DepthPoint, ...]
    found: BestAgainstBest


def frontier(
    points: Sequence[DepthPoint], values: Values, architectures: Mapping[str, str], decide: Decide
) -> Frontier | None:
    """The frontier of `points`; None unless rows of full depth have two depths and some row drops layers."""
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
