"""The frontier: the best model that drops layers against the best one that does not, over all depths of a study.

Only declared rows count that spent what the reference did, at one look of their own. A study with one depth has no
frontier: there the reference alone is what dropping is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pld_search.report import svg
from pld_search.spaces.decide import Decide
from pld_search.statistics.blocked import Values
from pld_search.statistics.frontier import BestAgainstBest, best_against_best
from pld_search.statistics.spread import Spread

TITLE = "The frontier over depths"
CAPTION = (
    "Loss at equal FLOPs over the number of layers: rows that drop layers against rows of full depth, the best of each depth "
    "joined by a line. Bars are one standard deviation over seeds."
)


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


def frontier_svg(found: Frontier, metric: str) -> str:
    """Loss over depth, two lines."""
    from matplotlib.figure import Figure

    with svg.styled():
        figure = Figure(figsize=(8.6, 3.2), layout="constrained")
        axis = figure.subplots()
        for drops, colour, name in ((False, svg.INK, "full depth"), (True, "#0072b2", "drops layers")):
            own = sorted((point for point in found.points if point.drops == drops), key=lambda point: point.layers)
            depths = sorted({point.layers for point in own})
            best = [min(point.spread.mean for point in own if point.layers == depth) for depth in depths]
            axis.plot(depths, best, color=colour, linewidth=1.1, label=name)
            for point in own:
                sd = point.spread.sd or 0.0
                axis.errorbar(point.layers, point.spread.mean, yerr=sd, color=colour, marker="o", capsize=3)
                axis.annotate(point.label, (point.layers, point.spread.mean), (6, 4), textcoords="offset points")
        axis.set_xticks(sorted({point.layers for point in found.points}))
        axis.set_xlabel("layers of the model")
        axis.set_ylabel(metric)
        axis.legend()
        return svg.to_svg(figure, "frontier")
