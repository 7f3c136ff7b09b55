"""Learning curves by cost: the mean over seeds with a band, for the whole run and with its end enlarged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pld_search.records.run_record import RunRecord
from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.label_places import Named, column
from pld_search.report.drawing.plot import SMALL, Plot
from pld_search.report.drawing.scales import around
from pld_search.report.drawing.svg_shapes import BAD, Area, Box, Drawing, Group, Line, Shape, Text
from pld_search.report.drawing.svg_writer import figure, panels
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import looks
from pld_search.report.row_names import configuration

_METRIC = "valid/loss"
_END = 0.6
"""The share of the FLOPs at which the enlarged end begins."""
_NAMES = 108.0
_CAPTION = (
    "Validation loss at full depth over what was executed by then. A line is the mean over the seeds of a "
    "row, its band "
    "one standard deviation; a cross is where a run diverged. Sampled configurations are thin and grey."
)


@dataclass(frozen=True, slots=True)
class Curve:
    """The mean over a row's runs at the steps that all of them have validated: TFLOP, loss, and its deviation over
    seeds (0 for one seed). `lost`: one of its runs diverged, so the curve ends there.
    """

    row: SystemRow
    spent: list[float]
    loss: list[float]
    deviation: list[float]
    lost: bool


def body(facts: PageFacts) -> Markup | None:
    """Returns both pictures; None when no run has validated yet."""
    drawn = pictures(facts)
    if not drawn:
        return None
    return join(panels(*(figure(each) for each in drawn)), tag("p", _CAPTION, class_="soft caption"))


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws the whole run and its end, for page and PDF."""
    found = [curve for row in facts.shown if (curve := curve_of(row)) is not None]
    if not found:
        return []
    most = max(curve.spent[-1] for curve in found) or 1.0
    values = [value for curve in found for value in curve.loss]
    values += [curve.loss[-1] - curve.deviation[-1] for curve in found if curve.row.system is not None]
    whole = Plot.of((0.0, 1.02 * most), around(values, 0.05))
    drawn = [_picture("curves", "the whole run", whole, found, facts, named=False)]
    ends = [(x, y) for curve in found for x, y in zip(curve.spent, curve.loss, strict=True) if x >= _END * most]
    if len(ends) > 1:
        drawn.append(_picture("curves-end", "the end, enlarged", _enlarged(found, most), found, facts, named=True))
    return drawn


def curve_of(row: SystemRow) -> Curve | None:
    """Returns the curve of a row; None when its runs have no validation in common."""
    series = [(dict(run.series.get(_METRIC) or ()), run) for run in row.runs.values()]
    series = [(points, run) for points, run in series if points and spent(run, list(points)) is not None]
    if not series:
        return None
    steps = sorted(set.intersection(*(set(points) for points, _ in series)))
    if not steps:
        return None
    losses = np.array([[points[step] for step in steps] for points, _ in series])
    costs = np.array([spent(run, steps) for _, run in series])
    deviation = losses.std(axis=0, ddof=1) if len(series) > 1 else np.zeros(len(steps))
    return Curve(row, costs.mean(axis=0).tolist(), losses.mean(axis=0).tolist(), deviation.tolist(), bool(row.diverged))


def spent(run: RunRecord, steps: Sequence[int]) -> list[float] | None:
    """Returns the TFLOP executed up to each of `steps`, by linear interpolation of `progress/tflop`; None when not
    recorded.
    """
    points = run.series.get("progress/tflop")
    if not points:
        return None
    known = [(0, 0.0), *(point for point in points if point[0] > 0)]
    found: list[float] = np.interp(steps, [step for step, _ in known], [value for _, value in known]).tolist()
    return found


def _enlarged(found: Sequence[Curve], most: float) -> Plot:
    """Returns the plot of the runs' last part. The declared rows set its height, so that a bad trial does not."""
    declared = [curve for curve in found if curve.row.system is not None] or list(found)
    reached = [curve for curve in declared if curve.spent[-1] >= _END * most] or declared
    starts = [float(np.interp(_END * most, curve.spent, curve.loss)) for curve in reached]
    ends = sorted(curve.loss[-1] for curve in reached)
    low = min(curve.loss[-1] - curve.deviation[-1] for curve in found if math.isfinite(curve.loss[-1]))
    high = max(ends[len(ends) // 2], float(np.median(starts)), low + 1e-6)
    return Plot.of((_END * most, most), around((low, high), 0.06), right=_NAMES + 12)


def _picture(name: str, title: str, plot: Plot, found: Sequence[Curve], facts: PageFacts, *, named: bool) -> Drawing:
    entropy, area = facts.about.entropy, plot.area
    shapes: list[Shape | Group] = [*plot.axes("executed TFLOP", f"validation loss (nats), {title}")]
    if entropy is not None and plot.y.low <= entropy <= plot.y.high:
        y = plot.y.at(entropy)
        shapes.append(Line([(area.left, y), (area.right, y)], BAD, 1.0, "2 3"))
        if not named:
            shapes.append(_beside(f"unigram entropy {entropy:.2f}", y, found, plot))
    look = looks(facts.table)
    ordered = sorted(found, key=lambda curve: curve.row.system is not None)
    shapes += [_drawn(curve, plot, look[curve.row.label].colour) for curve in ordered]
    width = area.right + 12
    if named:
        ends = [
            Named(area.right, plot.y.within(curve.loss[-1]), curve.row.label, look[curve.row.label].colour)
            for curve in found
            if facts.stands(curve.row) and curve.spent[-1] >= plot.x.low
        ]
        shapes += column(
            ends, area.right + 16, Box(area.right, area.top - 8, area.right + _NAMES, area.bottom + 8), _NAMES - 14
        )
        width = area.right + _NAMES + 12
    said = "; ".join(
        f"{curve.row.label} ends at {wording.number(curve.loss[-1])}" for curve in found if curve.row.system
    )
    return Drawing(name, width, area.bottom + 40, f"Learning curves, {title}: {said}", shapes)


def _beside(words: str, y: float, found: Sequence[Curve], plot: Plot) -> Text:
    """Places the words at an end of the line at `y`, above or below it, so that no declared curve crosses them. The
    order of preference starts on the right above the line; this is also the place if no place is free.
    """
    left, right = plot.area.left + 4, plot.area.right - 4
    places = [
        *(Text(right, y + down, words, SMALL, "end", BAD) for down in (-4.0, SMALL + 3.0)),
        *(Text(left, y + down, words, SMALL, "start", BAD) for down in (-4.0, SMALL + 3.0)),
    ]
    curves = [curve for curve in found if curve.row.system is not None]
    free = (
        text
        for text in places
        if text.box.inside(plot.area) and not any(_passes(curve, text.box, plot) for curve in curves)
    )
    return next(free, places[0])


def _passes(curve: Curve, box: Box, plot: Plot) -> bool:
    """Returns whether the mean of a curve or its band crosses a box."""
    across = np.linspace(box.left, box.right, 20)
    ends = [plot.x.at(x) for x in curve.spent]
    across = across[(across >= ends[0]) & (across <= ends[-1])]
    upper, lower = (
        np.interp(across, ends, [plot.y.at(y + sign * sd) for y, sd in zip(curve.loss, curve.deviation, strict=True)])
        for sign in (1, -1)
    )
    return bool(np.any((upper <= box.bottom) & (lower >= box.top)))


def _drawn(curve: Curve, plot: Plot, colour: str) -> Group:
    sampled = curve.row.system is None
    points = [(plot.x.at(x), plot.y.at(y)) for x, y in zip(curve.spent, curve.loss, strict=True)]
    shapes: list[Shape] = []
    if any(curve.deviation):
        spread = zip(curve.spent, curve.loss, curve.deviation, strict=True)
        edges = [(plot.x.at(x), plot.y.at(y + sd), plot.y.at(y - sd)) for x, y, sd in spread]
        upper, lower = [(x, up) for x, up, _ in edges], [(x, down) for x, _, down in reversed(edges)]
        shapes.append(Area([*upper, *lower], colour, 0.18))
    shapes.append(Line(points, colour, 0.8 if sampled else 1.8, opacity=0.55 if sampled else 1.0))
    if curve.lost:
        x, y = points[-1]
        shapes += [Line([(x - 4, y - 4), (x + 4, y + 4)], BAD, 2.0), Line([(x - 4, y + 4), (x + 4, y - 4)], BAD, 2.0)]
    seeds = f", mean of {len(curve.row.runs)} seeds" if len(curve.row.runs) > 1 else ""
    ends = f"ends at {wording.number(curve.loss[-1])}" if not curve.lost else "diverged"
    tip = f"{curve.row.label}: {configuration(curve.row)}; {ends}{seeds}, {wording.compact(curve.spent[-1])} TFLOP"
    return Group(shapes, tip, curve.row.label, plot.area)
