"""The pictures of a comparison: quality against cost with its Pareto front, and validation loss over what was spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pld_search.records.run_record import RunRecord
from pld_search.report import svg
from pld_search.report.comparison import SystemRow
from pld_search.spaces.objectives import front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# after Okabe and Ito: apart for colour-blind readers too
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b65fa0", "#c98a00", "#3aa0d8", "#7a5fc0", "#a0522d")
SAMPLED = "#8a8f98"
VARIES = 0.03  # a cost is drawn where the rows differ in it by more than this share
_METRIC = "valid/loss"


def colours(table: Sequence[SystemRow]) -> dict[str, str]:
    """One colour a system, the same in every picture and table; sampled trials share a grey."""
    systems = [row.label for row in table if row.system is not None]
    return {
        row.label: PALETTE[systems.index(row.label) % len(PALETTE)] if row.system is not None else SAMPLED
        for row in table
    }


def step_share(row: SystemRow) -> float | None:
    """FLOPs of a step in percent of the same architecture's at full depth."""
    saved = row.mean("saved/flops")
    return None if saved is None else 100 * (1 - saved)


COSTS: tuple[tuple[str, Callable[[SystemRow], float | None]], ...] = (
    ("executed TFLOP", lambda row: row.mean("progress/tflop")),
    ("FLOPs of a step, % of full depth", step_share),
    ("training time, s (measured)", lambda row: row.mean("progress/seconds")),
)


def costs_of(table: Sequence[SystemRow]) -> list[tuple[str, dict[str, float]]]:
    """(label, cost by row) of the costs worth an axis: at most two in which the rows differ, executed TFLOP when none
    does.
    """
    every = [(label, _known(table, cost)) for label, cost in COSTS]
    worth = [(label, costs) for label, costs in every if len(costs) > 1 and not _equal(list(costs.values()))]
    return worth[:2] or every[:1]


def _known(table: Sequence[SystemRow], cost: Callable[[SystemRow], float | None]) -> dict[str, float]:
    found = {row.label: cost(row) for row in table if _METRIC in row.metrics}
    return {label: value for label, value in found.items() if value is not None}


def _equal(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= VARIES * max(values)


def pareto_svg(table: Sequence[SystemRow]) -> str | None:
    """Validation loss against each cost, the rows that no other beats in both joined by a line; None without a finished
    run.
    """
    from matplotlib.figure import Figure

    costs = costs_of(table)
    if not any(known for _, known in costs):
        return None
    with svg.styled():
        figure = Figure(figsize=(8.6, 3.5), layout="constrained")
        axes = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
        for axis, (label, known) in zip(axes, costs, strict=True):
            _scatter(axis, [row for row in table if row.label in known], known, colours(table))
            axis.set_xlabel(label)
            axis.locator_params(axis="x", nbins=5)  # long numbers stand side by side
        axes[0].set_ylabel("validation loss (nats)")
        return svg.to_svg(figure, "pareto")


def _scatter(axis: Axes, table: Sequence[SystemRow], cost: dict[str, float], colour: dict[str, str]) -> None:
    points = [(cost[row.label], row.metrics[_METRIC].mean) for row in table]
    ideal = [points[index] for index in front(points)]
    axis.plot(
        *zip(*ideal, strict=True),
        color=svg.INK,
        linewidth=0.9,
        linestyle=(0, (4, 3)),
        alpha=0.7,
        zorder=1,
        label="Pareto front",
    )
    for row, (x, y) in zip(table, points, strict=True):
        sampled = row.system is None
        axis.errorbar(
            x,
            y,
            yerr=row.metrics[_METRIC].sd,
            color=colour[row.label],
            marker="o",
            markersize=4.5 if sampled else 8,
            capsize=3,
            zorder=3 - sampled,
        )
    _name_points(axis, table, points)
    if _equal([x for x, _ in points]):  # by design: a wide axis says so, a tight one would draw sampling noise large
        axis.set_xlim(points[0][0] * 0.85, points[0][0] * 1.15)
    axis.margins(x=0.14, y=0.14)


def _name_points(axis: Axes, table: Sequence[SystemRow], points: Sequence[tuple[float, float]]) -> None:
    """Names beside the systems' points, moved down where they would cover one another."""
    named = sorted((y, x, row.label) for row, (x, y) in zip(table, points, strict=True) if row.system is not None)
    height = max(y for _, y in points) - min(y for _, y in points) or 1.0
    last = -np.inf
    for y, x, label in named:
        at = max(y, last + 0.075 * height)
        last = at
        axis.annotate(escaped(label), (x, at), xytext=(9, 0), textcoords="offset points", va="center", fontsize=8.5)


def escaped(text: str) -> str:
    """A user's text for matplotlib: `$` would start a formula."""
    return text.replace("$", r"\$")


def spent(run: RunRecord, steps: Sequence[int]) -> Any:
    """TFLOP executed by each of `steps`, between the recorded points of `progress/tflop` by straight lines; None where
    not recorded.
    """
    points = run.series.get("progress/tflop")
    if not points:
        return None
    known = [(0, 0.0), *(point for point in points if point[0] > 0)]
    return np.interp(steps, [step for step, _ in known], [value for _, value in known])


def curves_svg(table: Sequence[SystemRow], entropy: float | None) -> str | None:
    """Validation loss over executed TFLOP, a line a run; None where no run has validated yet."""
    from matplotlib.figure import Figure

    with svg.styled():
        figure = Figure(figsize=(8.6, 3.7), layout="constrained")
        axis = figure.subplots()
        drawn = sum([_curve(axis, row, colours(table)[row.label]) for row in table])
        if not drawn:
            return None
        if entropy is not None:
            axis.axhline(entropy, color=svg.INK, linewidth=0.9, linestyle=":", label=f"unigram entropy {entropy:.2f}")
        axis.set_xlabel("executed TFLOP")
        axis.set_ylabel("validation loss (nats)")
        axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8.5)
        return svg.to_svg(figure, "curves")


def _curve(axis: Axes, row: SystemRow, colour: str) -> int:
    drawn = 0
    for run in row.runs.values():
        points = run.series.get(_METRIC) or []
        x = spent(run, [step for step, _ in points])
        if not points or x is None:
            continue
        sampled = row.system is None
        label = "sampled trials" if sampled else escaped(row.label)
        known = axis.get_legend_handles_labels()[1]
        axis.plot(
            x,
            [value for _, value in points],
            color=colour,
            linewidth=0.9 if sampled else 1.6,
            alpha=0.6 if sampled else 1.0,
            zorder=2 if sampled else 3,
            label=None if label in known else label,
        )
        drawn += 1
    return drawn
