"""The picture of the simulated searches: regret against cost, and the cost of the goal by method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.quality_summary import median_of, quantile
from pld_search.report.print_style import printed, to_png

COLOURS = ("#6b7280", "#0b6bcb", "#b8860b", "#b3261e", "#18794e", "#8e44ad")
Curve = Sequence[tuple[float, float]]


def regret_at(curve: Curve, cost: float) -> float:
    """Returns the regret of the best run that had ended at this cost; infinite before the first."""
    return min((regret for spent, regret in curve if spent <= cost), default=math.inf)


def draw(
    path: Path, curves: Mapping[str, Sequence[Curve]], goals: Mapping[float, Mapping[str, Sequence[float]]], title: str
) -> None:
    """Draws panels into a PNG. curves: by method, one for each seed. goals: a regret -> by method its cost in full
    runs, one for each seed.
    """
    colours = dict(zip(curves, COLOURS, strict=False))
    with printed():
        figure = Figure(figsize=(12, 5.2), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
        _regret(left.subplots(), curves, colours, min(goals))
        for axis, (goal, costs) in zip(right.subplots(len(goals), 1), goals.items(), strict=True):
            _costs(axis, costs, colours, goal)
        axis.set_xlabel("full runs; thick: 95 % interval of the median, thin: quartiles")
        path.write_bytes(to_png(figure))


def _regret(axis: Any, curves: Mapping[str, Sequence[Curve]], colours: Mapping[str, str], goal: float) -> None:
    end = max((quantile([curve[-1][0] for curve in each if curve], 0.6) for each in curves.values()), default=1.0)
    grid = [end * i / 400 for i in range(401)]
    for name, each in curves.items():
        lines = {
            share: [quantile([regret_at(curve, cost) for curve in each], share) for cost in grid]
            for share in (0.25, 0.5, 0.75)
        }
        axis.fill_between(
            grid,
            lines[0.25],
            [min(value, 10.0) for value in lines[0.75]],
            color=colours[name],
            alpha=0.13,
            linewidth=0,
            step="post",
        )
        axis.step(grid, lines[0.5], where="post", color=colours[name], linewidth=1.8, label=name)
    axis.axhline(goal, color="#1c2127", linewidth=0.9, linestyle="--")
    axis.text(0, goal, f" goal: {100 * goal:g} %", ha="left", va="bottom", fontsize=8.5)
    axis.set(
        xlim=(0, end),
        ylim=(0, 1.05),
        xlabel="cost so far, in full runs (branches included)",
        ylabel="regret of the best run that has ended",
    )
    axis.set_title("Median over seeds, bands between the quartiles")
    axis.legend(loc="upper right", fontsize=8.5)


def _costs(axis: Any, costs: Mapping[str, Sequence[float]], colours: Mapping[str, str], goal: float) -> None:
    medians = {name: median_of(each) for name, each in costs.items()}
    finite = [
        value
        for each in medians.values()
        for value in (each.value, each.high, each.upper_quartile)
        if math.isfinite(value)
    ]
    edge = 1.1 * max(finite, default=1.0)
    for place, (name, each) in enumerate(medians.items()):
        colour, never = colours[name], sum(map(math.isinf, costs[name]))
        if math.isfinite(each.lower_quartile):
            axis.plot(
                [each.lower_quartile, min(each.upper_quartile, edge)],
                [place, place],
                color=colour,
                linewidth=1.4,
                alpha=0.6,
            )
        if math.isfinite(each.value):
            axis.plot(
                [each.low, min(each.high, edge)],
                [place, place],
                color=colour,
                linewidth=5,
                alpha=0.85,
                solid_capstyle="butt",
            )
            axis.plot(each.value, place, "o", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=7)
            axis.text(each.value, place - 0.22, f"{each.value:.1f}", ha="center", va="bottom", fontsize=8.5)
        if never:
            text = f"never: {max(1.0, 100 * never / len(costs[name])):.0f} %"
            axis.text(
                1.01,
                place,
                text,
                transform=axis.get_yaxis_transform(),
                ha="left",
                va="center",
                fontsize=8.5,
                color="#5b6470",
            )
    first = next(iter(medians.values())).value
    if math.isfinite(first):
        axis.axvline(first / 3, color="#1c2127", linewidth=0.9, linestyle="--")
        axis.text(first / 3, len(costs) - 0.25, " a third of random search", fontsize=8.5, va="center")
    axis.set(xlim=(0, edge), ylim=(len(costs), -0.85))
    axis.set_yticks(range(len(costs)), list(costs))
    axis.grid(axis="y", visible=False)
    axis.set_title(f"Cost until a run with a regret of {100 * goal:g} % has ended")
