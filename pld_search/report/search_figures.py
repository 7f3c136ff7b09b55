"""The pictures of a search's model: predicted against final, importance of parameters, partial dependence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pld_search.report import svg
from pld_search.report.figures import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_SPREAD = 20.0
"""Positive values whose ends are further apart than this factor are drawn on a logarithmic axis."""


def calibration_svg(found: Sequence[tuple[float, float, float]]) -> str:
    """(mean, sd, end) of each prediction: the end over the mean."""
    from matplotlib.figure import Figure

    with svg.styled():
        figure = Figure(figsize=(4.6, 4.0), layout="constrained")
        axis = figure.subplots()
        means, sds, ends = zip(*found, strict=True)
        reach = [1.96 * sd for sd in sds]
        axis.errorbar(means, ends, xerr=reach, fmt="o", color=PALETTE[0], markersize=4.5, elinewidth=0.9, alpha=0.85)
        low, high = min(*means, *ends), max(*means, *ends)
        room = 0.06 * (high - low) or 0.01
        axis.plot([low - room, high + room], [low - room, high + room], color=svg.INK, linewidth=0.9, zorder=1)
        axis.set_xlim(low - 3 * room, high + 3 * room)
        axis.set_ylim(low - 3 * room, high + 3 * room)
        axis.set_xlabel("predicted at a rung")
        axis.set_ylabel("measured at the end")
        return svg.to_svg(figure, "calibration")


def importance_svg(parameters: Sequence[Mapping[str, Any]]) -> str:
    """Horizontal bars with intervals, the most important parameter at the top."""
    from matplotlib.figure import Figure

    with svg.styled():
        figure = Figure(figsize=(8.0, 0.7 + 0.34 * len(parameters)), layout="constrained")
        axis = figure.subplots()
        rows = range(len(parameters))
        values = [100 * each["importance"] for each in parameters]
        below = [100 * (each["importance"] - each["low"]) for each in parameters]
        above = [100 * (each["high"] - each["importance"]) for each in parameters]
        axis.barh(rows, values, height=0.62, color=PALETTE[0], alpha=0.75)
        axis.errorbar(values, rows, xerr=[below, above], fmt="none", ecolor=svg.INK, elinewidth=1.0, capsize=3)
        axis.set_yticks(rows, [each["name"] for each in parameters])
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
        axis.set_xlim(left=0)
        axis.set_xlabel("share of the objective's variance, %")
        return svg.to_svg(figure, "importance")


def dependence_svg(parameters: Sequence[Mapping[str, Any]], objective: str) -> str:
    """One small picture a parameter, all on one scale."""
    from matplotlib.figure import Figure

    with svg.styled():
        lines = math.ceil(len(parameters) / _COLUMNS)
        figure = Figure(figsize=(8.6, 2.5 * lines), layout="constrained")
        axes = figure.subplots(lines, _COLUMNS, sharey=True, squeeze=False).ravel()
        for axis, each in zip(axes, parameters, strict=False):
            _dependence(axis, each)
        for axis in axes[len(parameters) :]:
            axis.set_visible(False)
        for axis in axes[::_COLUMNS]:
            axis.set_ylabel(objective)
        return svg.to_svg(figure, "dependence")


def _dependence(axis: Axes, parameter: Mapping[str, Any]) -> None:
    points = parameter["dependence"]
    values, means = [each["value"] for each in points], [each["mean"] for each in points]
    sds = [each["sd"] for each in points]
    axis.set_title(_short(parameter["name"]))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers:
        axis.errorbar(range(len(values)), means, yerr=sds, fmt="o", color=PALETTE[0], capsize=3)
        axis.set_xticks(range(len(values)), [str(value) for value in values])
        axis.set_xlim(-0.5, len(values) - 0.5)
        return
    order = sorted(range(len(values)), key=values.__getitem__)
    at = [float(values[index]) for index in order]
    middle = [means[index] for index in order]
    axis.plot(at, middle, color=PALETTE[0], marker="o", markersize=3)
    low, high = ([means[index] + sign * sds[index] for index in order] for sign in (-1, 1))
    axis.fill_between(at, low, high, color=PALETTE[0], alpha=0.2, linewidth=0)
    if at[0] > 0 and at[-1] / at[0] >= _SPREAD:
        axis.set_xscale("log")


def _short(name: str) -> str:
    """The end of a long dotted name."""
    return name if len(name) <= 30 else "..." + name[-28:]
