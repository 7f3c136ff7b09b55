"""The parameters' effects as the search recorded them: importance, dependence and interactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pld_search.records.study_events import SearchExplained
from pld_search.report import table_cells
from pld_search.report.drawing.plot import Plot
from pld_search.report.drawing.scales import Scale, around
from pld_search.report.drawing.svg_shapes import RULE, SOFT, Area, Drawing, Group, Line, Mark, Shape, Text, fitted
from pld_search.report.drawing.svg_writer import figure, panels
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_names import short
from pld_search.report.search_model import percent

SHOWN = 6
_COLOUR = "#0072b2"
_ROW, _NAMES, _WIDTH, _SMALL = 24.0, 170.0, 520.0, 9.5
_SIDE, _HIGH = 250.0, 190.0
_SPREAD = 20.0
"""Positive values whose ratio of ends exceeds this factor use a logarithmic axis."""
_IMPORTANCE = (
    "The share of the objective's variance over the whole space that goes when a parameter is known, with "
    "all it is part of, by a model of "
    "{points} configurations; lines are 90 % intervals. A parameter of a branch counts where the branch is chosen."
)
_DEPENDENCE = (
    "The expected objective by the values of one parameter, mean over all others; bands are one standard deviation."
)


def body(facts: PageFacts) -> Markup | None:
    """Returns the section; None before a search has been explained."""
    explained = facts.view.study.explained
    if explained is None:
        return None
    importance, *dependence = pictures(facts)
    return join(
        tag("p", _IMPORTANCE.format(points=explained.points), class_="soft"),
        tag("div", figure(importance), class_="scroll"),
        _together(explained),
        panels(*(figure(each) for each in dependence)),
        tag("p", _DEPENDENCE, class_="soft caption"),
    )


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws the importance of all parameters, then the dependence on each of the first ones, for page and PDF."""
    explained = facts.view.study.explained
    if explained is None:
        return []
    first = [each for each in explained.parameters[:SHOWN] if each["dependence"]]
    seen = [value for each in first for at in each["dependence"] for value in _band(at)]
    names: dict[str, Any] = {each["name"]: None for each in explained.parameters}
    drawn = [_dependence(each, around(seen), names, facts.about.objective, place) for place, each in enumerate(first)]
    return [_importance(explained.parameters), *drawn]


def _importance(parameters: Sequence[Mapping[str, Any]]) -> Drawing:
    """Draws horizontal bars with intervals, the most important parameter at the top."""
    bottom = 12 + _ROW * len(parameters)
    scale = Scale(0.0, max(0.05, *(each["high"] for each in parameters)), _NAMES, _WIDTH - 60)
    shapes: list[Shape | Group] = []
    for tick in scale.ticks(5):
        shapes.append(Line([(scale.at(tick), 8), (scale.at(tick), bottom)], RULE, 0.6))
        shapes.append(Text(scale.at(tick), bottom + 13, f"{100 * tick:g} %", _SMALL, "middle", SOFT))
    for place, each in enumerate(parameters):
        y = 12 + _ROW * (place + 0.5)
        low, high, right = scale.at(each["low"]), scale.at(each["high"]), scale.at(each["importance"])
        corners = [(_NAMES, y - 7), (right, y - 7), (right, y + 7), (_NAMES, y + 7)]
        drawn: list[Shape] = [
            Area(corners, _COLOUR, 0.35),
            Line([(low, y), (high, y)], _COLOUR, 1.6),
            Text(_NAMES - 8, y + 3.3, fitted(each["name"], 10.0, _NAMES - 12), 10.0, "end"),
            Text(max(high, right) + 6, y + 3.3, percent(each["importance"]), _SMALL, "start", SOFT),
        ]
        tip = (
            f"{each['name']}: {percent(each['importance'])} ({percent(each['low'])} .. {percent(each['high'])}), "
            f"alone {percent(each['alone'])}"
        )
        shapes.append(Group(drawn, tip))
    alt = "Share of variance: " + ", ".join(f"{each['name']} {percent(each['importance'])}" for each in parameters)
    return Drawing("importance", _WIDTH, bottom + 20, alt, shapes)


def _band(at: Mapping[str, Any]) -> tuple[float, float]:
    return at["mean"] - at["sd"], at["mean"] + at["sd"]


def _dependence(
    parameter: Mapping[str, Any], up: tuple[float, float], names: dict[str, Any], objective: str, place: int
) -> Drawing:
    """Draws the objective over the values of one parameter."""
    points = list(parameter["dependence"])
    numbers = all(isinstance(at["value"], int | float) and not isinstance(at["value"], bool) for at in points)
    title = Text(
        _SIDE / 2, 10, fitted(short(parameter["name"], names), 10.0, _SIDE - 10, bold=True), 10.0, "middle", bold=True
    )
    shapes = [title, *(_curve(points, up) if numbers and len(points) > 2 else _levels(points, up)), _meaning(objective)]
    return Drawing(f"dependence-{place}", _SIDE, _HIGH, f"{objective} by {parameter['name']}", shapes)


def _meaning(objective: str) -> Text:
    return Text(2, 24, fitted(objective, _SMALL, 90), _SMALL, "start", SOFT)


def _curve(points: Sequence[Mapping[str, Any]], up: tuple[float, float]) -> Iterator[Shape | Group]:
    ordered = sorted(points, key=lambda at: float(at["value"]))
    values = [float(at["value"]) for at in ordered]
    plot = _plot((values[0], values[-1]), up)
    log = values[0] > 0 and values[-1] / values[0] >= _SPREAD
    plot = Plot(plot.area, Scale(values[0], values[-1], plot.area.left, plot.area.right, log), plot.y)
    yield from plot.axes("", "")
    places = [plot.x.at(value) for value in values]
    low, high = zip(*(_band(at) for at in ordered), strict=True)
    edge = [*zip(places, map(plot.y.at, low), strict=True)]
    yield Area([*edge, *reversed([*zip(places, map(plot.y.at, high), strict=True)])], _COLOUR, 0.18)
    yield Line([(x, plot.y.at(at["mean"])) for x, at in zip(places, ordered, strict=True)], _COLOUR, 1.6)


def _levels(points: Sequence[Mapping[str, Any]], up: tuple[float, float]) -> Iterator[Shape | Group]:
    plot = _plot((-0.5, len(points) - 0.5), up)
    bare = Plot(plot.area, Scale(0.0, 1.0, plot.area.left, plot.area.right), plot.y)
    yield from (shape for shape in bare.axes("", "") if not _below(shape, plot.area.bottom))
    wide = (plot.area.right - plot.area.left) / len(points) - 4
    for place, at in enumerate(points):
        x, ends = plot.x.at(float(place)), [plot.y.at(value) for value in _band(at)]
        drawn: list[Shape] = [
            Line([(x, ends[0]), (x, ends[1])], _COLOUR, 1.6),
            Mark(x, plot.y.at(at["mean"]), _COLOUR, 6.0),
            Text(x, plot.area.bottom + 14, fitted(str(at["value"]), _SMALL, wide), _SMALL, "middle", SOFT),
        ]
        yield Group(drawn, f"{at['value']}: {at['mean']:.4g} ± {at['sd']:.2g}")


def _plot(across: tuple[float, float], up: tuple[float, float]) -> Plot:
    plot = Plot.of(across, up, width=_SIDE, height=_HIGH + 4, right=26.0)
    moved = plot.area
    return Plot(moved, plot.x, Scale(*up, moved.bottom, moved.top + 12))


def _below(shape: Shape | Group, bottom: float) -> bool:
    """Whether a shape is a number or line of the lower axis, which options do not have."""
    if isinstance(shape, Text):
        return shape.box.top > bottom
    return isinstance(shape, Line) and shape.points[0][0] == shape.points[1][0]


def _together(explained: SearchExplained) -> Markup | None:
    """Returns a table of parameters that act together; None when there are none."""
    shown = [each for each in explained.interactions if each["share"] >= 0.005][:SHOWN]
    if not shown:
        return None
    lines = [
        tag("tr", table_cells.cell(" x ".join(each["names"]), None, "left"), table_cells.cell(percent(each["share"])))
        for each in shown
    ]
    headings = [table_cells.heading("together", left=True), table_cells.heading("share of variance")]
    return table_cells.grid(headings, lines)
