"""The layer analyses of all systems side by side, and their course over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from pld_search.records.layer_analysis import LayerAnalysis, Values
from pld_search.report import table_cells
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.plot import SMALL, Plot
from pld_search.report.drawing.scales import Scale, around, tick_texts
from pld_search.report.drawing.svg_shapes import (
    INK,
    RULE,
    SOFT,
    Area,
    Box,
    Drawing,
    Group,
    Line,
    Mark,
    Shape,
    Text,
    fitted,
)
from pld_search.report.drawing.svg_writer import figure, panels
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.number_text import duration, number
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import looks

Series = Sequence[tuple[int, LayerAnalysis]]
Question = tuple[str, str, Callable[[LayerAnalysis], Values]]
QUESTIONS: tuple[Question, ...] = (
    ("gradients", "norm of the gradient of a layer", lambda found: found.gradients["block"]),
    ("distance", "L2 distance of input and output", lambda found: found.distance),
    ("cosine", "cosine of input and output", lambda found: found.cosine),
    ("updates", "cosine of what a layer and the next add", lambda found: found.updates),
    ("lesions", "loss gained without the layer (nats)", lambda found: found.increases),
)
OVER_STEPS = (QUESTIONS[0], QUESTIONS[2])
MOST_SYSTEMS = 8
_OFTEN = 3
_WIDTH, _LEFT, _STRIP = 200.0, 30.0, 9.0
# viridis, from dark to light
_GRADES = (
    *("#440154", "#482576", "#414487", "#35608d", "#2a788e", "#21908d", "#22a884", "#43bf71", "#7ad151"),
    *("#bddf26", "#fde725"),
)
_READ = (
    "The last analysis of each system, of its first seed that has one. A cosine near 1 is a layer that "
    "changes little, or "
    "neighbours that add alike; the last picture says with how few layers the network still works: the best that were "
    "found, and dashed the lowest."
)
_STEPS = "Layers from below, over the steps of a run; bright is large, on one scale for all systems."


def body(facts: PageFacts) -> Markup | None:
    """Returns pictures and an explanation; None when no system was analysed."""
    found = _systems(facts)
    if not found:
        return None
    look = looks(facts.table)
    seconds = sum(run.analysis_seconds for row in facts.table for run in row.runs.values())
    sequences = " or ".join(sorted({f"{series[-1][1].sequences:,}" for series in found.values()}))
    cost = f" The runs' own analyses took {duration(seconds)}, which is no training time." if seconds else ""
    names = [table_cells.name(row, look) for row in facts.systems if row.label in found]
    heat = over_steps(found)
    return join(
        tag("p", f"{_READ} Over {sequences} validation sequences.{cost}", class_="soft caption"),
        tag("p", *[join(name, " ") for name in names]),
        panels(*(figure(each) for each in last(found, {label: look[label].colour for label in found}))),
        join(panels(*(figure(each) for each in heat)), tag("p", _STEPS, class_="soft caption")) if heat else None,
    )


def pictures(facts: PageFacts) -> list[Drawing]:
    """Returns all pictures for PDF."""
    found, look = _systems(facts), looks(facts.table)
    return [*last(found, {label: look[label].colour for label in found}), *over_steps(found)] if found else []


def analyses_of(row: SystemRow) -> Series:
    """Returns the analyses of a row's first seed that has any."""
    return next((run.analyses for _, run in sorted(row.runs.items()) if run.analyses), ())


def _systems(facts: PageFacts) -> dict[str, Series]:
    return {row.label: series for row in facts.systems if (series := analyses_of(row))}


def last(systems: Mapping[str, Series], colours: Mapping[str, str]) -> list[Drawing]:
    """Draws one picture for each question with a line for each system, and the depth-elasticity curves if measured."""
    drawn = []
    for name, title, of in QUESTIONS:
        lines = {label: list(of(series[-1][1])) for label, series in systems.items()}
        if any(value is not None for values in lines.values() for value in values):
            drawn.append(_picture(name, title, "layer", lines, {}, colours))
    curves = {
        label: curve
        for label, series in systems.items()
        if (curve := next((found.elasticity for _, found in reversed(series) if found.elasticity), None)) is not None
    }
    if curves:
        best = {label: list(curve.best) for label, curve in curves.items()}
        lowest = {label: list(curve.lowest) for label, curve in curves.items()}
        drawn.append(_picture("elasticity", "loss with fewer layers (nats)", "layers kept", best, lowest, colours))
    return drawn


def _picture(
    name: str,
    title: str,
    across: str,
    lines: Mapping[str, list[float | None]],
    dashed: Mapping[str, list[float | None]],
    colours: Mapping[str, str],
) -> Drawing:
    known = [value for values in (*lines.values(), *dashed.values()) for value in values if value is not None]
    deepest = max(len(values) for values in lines.values())
    low, high = around(known)
    plot = Plot.of((0.5, deepest + 0.5), (min(low, 0.0) if name == "lesions" else low, high))
    if name == "gradients" and min(known) > 0:
        scale = Scale(min(known) / 1.2, max(known) * 1.2, plot.area.bottom, plot.area.top, log=True)
        plot = Plot(plot.area, plot.x, scale)
    shapes: list[Shape | Group] = [*plot.axes(across, title)]
    if name == "lesions":
        y = plot.y.at(0.0)
        shapes.append(Line([(plot.area.left, y), (plot.area.right, y)], INK, 0.8))
    for label, values in dashed.items():
        shapes.append(Group(_line(plot, values, colours[label], "4 3"), None, label, plot.area))
    for label, values in lines.items():
        tip = f"{label}: {', '.join('-' if value is None else number(value) for value in values)}"
        shapes.append(Group(_line(plot, values, colours[label], None), tip, label, plot.area))
    said = "; ".join(f"{label} from {_ends(values)}" for label, values in lines.items())
    return Drawing(f"layers-{name}", plot.area.right + 12, plot.area.bottom + 40, f"{title}: {said}", shapes)


def _ends(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{number(known[0])} to {number(known[-1])}" if known else "nothing finite"


def _line(plot: Plot, values: Sequence[float | None], colour: str, dash: str | None) -> list[Shape]:
    points = [(plot.x.at(index), plot.y.at(value)) for index, value in enumerate(values, 1) if value is not None]
    marks = [] if dash else [Mark(x, y, colour, 5.0) for x, y in points]
    return [Line(points, colour, 1.0 if dash else 1.6, dash), *marks]


def over_steps(systems: Mapping[str, Series]) -> list[Drawing]:
    """Draws heat maps of the systems with enough analyses, question by question."""
    often = {label: series for label, series in list(systems.items())[:MOST_SYSTEMS] if len(series) >= _OFTEN}
    return [
        drawing
        for name, title, of in OVER_STEPS
        for drawing in _heat_maps(name, title, {label: _grid(series, of) for label, series in often.items()}, often)
    ]


def _grid(series: Series, of: Callable[[LayerAnalysis], Values]) -> list[Values]:
    return [of(found) for _, found in series]


def _heat_maps(
    name: str, title: str, grids: Mapping[str, list[Values]], systems: Mapping[str, Series]
) -> list[Drawing]:
    known = [value for grid in grids.values() for values in grid for value in values if value is not None]
    if not known or min(known) == max(known):
        return []
    log = name == "gradients" and min(known) > 0
    grade = Scale(min(known), max(known), 0.0, len(_GRADES) - 1.0, log=log)
    drawn = []
    for place, (label, grid) in enumerate(grids.items()):
        steps = [step for step, _ in systems[label]]
        depth = max(len(values) for values in grid)
        box = Box(_LEFT, 20.0, _WIDTH - 10, 20.0 + _STRIP * max(depth, 6))
        shapes = [*_cells(grid, steps, box, depth, grade), *_around_cells(label, steps, box, depth)]
        least, most = tick_texts([min(known), max(known)])
        drawn.append(
            Drawing(
                f"steps-{name}-{place}",
                _WIDTH,
                box.bottom + 34,
                f"{title}, {label}, over {steps[-1]:,} steps; colours from {least} to {most}",
                [
                    *shapes,
                    Text(
                        _LEFT,
                        box.bottom + 29,
                        fitted(f"{title.split(' of ')[0]} {least} … {most}", 8, 160),
                        8,
                        "start",
                        SOFT,
                    ),
                ],
            )
        )
    return drawn


def _cells(grid: list[Values], steps: Sequence[int], box: Box, depth: int, grade: Scale) -> list[Shape]:
    """Draws a cell for each layer and analysis; its borders lie half-way to its neighbours."""
    borders = [steps[0], *((one + other) / 2 for one, other in pairwise(steps)), steps[-1]]
    across = Scale(steps[0], max(steps[-1], steps[0] + 1), box.left, box.right)
    height = (box.bottom - box.top) / depth
    cells: list[Shape] = []
    for index, values in enumerate(grid):
        left, right = across.at(borders[index]), across.at(borders[index + 1])
        for layer, value in enumerate(values):
            if value is None or not math.isfinite(value):
                continue
            low = box.bottom - layer * height
            corners = [(left, low - height), (right, low - height), (right, low), (left, low)]
            cells.append(Area(corners, _GRADES[round(grade.within(value))]))
    return cells


def _around_cells(label: str, steps: Sequence[int], box: Box, depth: int) -> list[Shape]:
    height = (box.bottom - box.top) / depth
    shapes: list[Shape] = [
        Text(_LEFT, 12, fitted(label, 10, box.right - _LEFT, bold=True), 10, "start", INK, bold=True),
        Line([(box.left, box.bottom), (box.right, box.bottom)], RULE, 0.8),
    ]
    for layer in sorted({1, depth}):
        y = box.bottom - (layer - 0.5) * height
        shapes.append(Text(box.left - 5, y + SMALL * 0.33, str(layer), SMALL, "end", SOFT))
    shapes.append(Text(box.left, box.bottom + 14, f"{steps[0]:,}", SMALL, "start", SOFT))
    shapes.append(Text(box.right, box.bottom + 14, f"step {steps[-1]:,}", SMALL, "end", SOFT))
    return shapes
