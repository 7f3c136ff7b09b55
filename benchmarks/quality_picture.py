"""The picture of the simulated searches: regret against cost, and the cost of the goal by method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.quality_summary import Median, quantile
from pld_search.report.svg import printed, to_png

COLOURS = ("#6b7280", "#0b6bcb", "#b8860b", "#b3261e", "#18794e", "#8e44ad")
Curve = Sequence[tuple[float, float]]


def regret_at(curve: Curve, cost: float) -> float:
    """The regret of the best run that had ended by then; infinite before there is one."""
    return min((regret for spent, regret in curve if spent <= cost), default=math.inf)


def draw(path: Path, curves: Mapping[str, Sequence[Curve]], costs: Mapping[str, Median], goal: float, title: str) -> None:
    """Two panels into a PNG. `curves`: by method, one a seed; `costs`: by method, in full runs."""
    colours = dict(zip(costs, COLOURS, strict=False))
    with printed():
        figure = Figure(figsize=(11.5, 4.7), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
        _regret(left, curves, colours, goal)
        _costs(right, costs, colours, goal)
        path.write_bytes(to_png(figure))


def _regret(axis: Any, curves: Mapping[str, Sequence[Curve]], colours: Mapping[str, str], goal: float) -> None:
    end = max((quantile([curve[-1][0] for curve in each if curve], 0.6) for each in curves.values()), default=1.0)
    grid = [end * i / 400 for i in range(401)]
    for name, each in curves.items():
        lines = {share: [quantile([regret_at(curve, cost) for curve in each], share) for cost in grid] for share in (0.25, 0.5, 0.75)}
        axis.fill_between(grid, lines[0.25], [min(value, 10.0) for value in lines[0.75]], color=colours[name], alpha=0.13, linewidth=0, step="post")
        axis.step(grid, lines[0.5], where="post", color=colours[name], linewidth=1.8, label=name)
    axis.axhline(goal, color="#1c2127", linewidth=0.9, linestyle="--")
    axis.text(end, goal, f"goal {100 * goal:g} %", ha="right", va="bottom", fontsize=8.5)
    axis.set(xlim=(0, end), ylim=(0, 1.05), xlabel="cost so far, in full runs (branches included)", ylabel="regret of the best run that has ended")
    axis.set_title("Median over seeds, bands between the quartiles")
    axis.legend(loc="upper right", fontsize=8.5)


def _costs(axis: Any, costs: Mapping[str, Median], colours: Mapping[str, str], goal: float) -> None:
    finite = [value for each in costs.values() for value in (each.value, each.high, each.upper_quartile) if math.isfinite(value)]
    edge = 1.12 * max(finite)
    for place, (name, each) in enumerate(costs.items()):
        colour = colours[name]
        axis.plot([each.lower_quartile, min(each.upper_quartile, edge)], [place, place], color=colour, linewidth=1.4, alpha=0.55)
        axis.plot([each.low, min(each.high, edge)], [place, place], color=colour, linewidth=5, alpha=0.9, solid_capstyle="butt")
        if math.isfinite(each.value):
            axis.plot(each.value, place, "o", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=7)
            axis.text(each.value, place - 0.2, f"{each.value:.1f}", ha="center", va="bottom", fontsize=8.5)
        else:
            axis.text(edge, place - 0.2, "never, for half of the seeds", ha="right", va="bottom", fontsize=8.5)
    first = next(iter(costs.values())).value
    if math.isfinite(first):
        axis.axvline(first / 3, color="#1c2127", linewidth=0.9, linestyle="--")
        axis.text(first / 3, len(costs) - 0.45, " a third of random search", fontsize=8.5, va="center")
    axis.set(xlim=(0, edge), ylim=(len(costs) - 0.2, -0.6), xlabel=f"cost until a run with a regret of {100 * goal:g} % has ended, in full runs")
    axis.set_yticks(range(len(costs)), list(costs))
    axis.grid(axis="y", visible=False)
    axis.set_title("Median, its 95 % interval (thick), quartiles (thin)")
