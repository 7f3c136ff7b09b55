"""The frontier over depths: loss at equal FLOPs by the number of layers, with and without dropping."""

from __future__ import annotations

from collections.abc import Sequence

from pld_search.report import wording
from pld_search.report.drawing.label_places import Named, labels
from pld_search.report.drawing.plot import Plot
from pld_search.report.drawing.scales import around
from pld_search.report.drawing.svg_shapes import INK, Drawing, Group, Line, Mark, Shape, Text
from pld_search.report.drawing.svg_writer import figure
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.judged_frontier import DepthPoint, Frontier
from pld_search.report.page_facts import PageFacts

_CAPTION = (
    "Rows at equal FLOPs over the layers of their model; the best of each depth joined by a line. Circles "
    "are of full depth, triangles "
    "drop layers during training. Bars are one standard deviation over seeds."
)
_DROPS = "#0072b2"


def body(facts: PageFacts) -> Markup | None:
    """Returns the picture; None for a study without a frontier."""
    drawn = pictures(facts)
    return join(figure(drawn[0]), tag("p", _CAPTION, class_="soft caption")) if drawn else None


def pictures(facts: PageFacts) -> list[Drawing]:
    """Returns the picture for page and PDF."""
    found = facts.reference.frontier if facts.reference is not None else None
    return [] if found is None else [_picture(found, str(facts.about.decide.primary))]


def _picture(found: Frontier, metric: str) -> Drawing:
    means = [point.spread.mean for point in found.points]
    reach = [point.spread.sd or 0.0 for point in found.points]
    ends = [
        *(m - sd for m, sd in zip(means, reach, strict=True)),
        *(m + sd for m, sd in zip(means, reach, strict=True)),
    ]
    plot = Plot.of(around([float(point.layers) for point in found.points], 0.15), around(ends, 0.1))
    marks = {point.label: _mark(point, plot) for point in found.points}
    axes = plot.axes("layers of the model", f"{metric} at equal FLOPs")
    taken: list[Mark | Text] = [*marks.values(), *(shape for shape in axes if isinstance(shape, Text))]
    named = [Named(mark.x, mark.y, label, mark.colour) for label, mark in marks.items()]
    lines = [line for drops in (False, True) if (line := _line(found.points, drops, plot)) is not None]
    groups = [_group(point, marks[point.label], plot) for point in found.points]
    said = "; ".join(f"{point.label}, {point.layers} layers, {wording.mean(point.spread)}" for point in found.points)
    shapes = [*axes, *lines, *groups, *labels(named, taken, plot.area)]
    return Drawing("frontier", plot.area.right + 12, plot.area.bottom + 40, f"{metric} over layers: {said}", shapes)


def _mark(point: DepthPoint, plot: Plot) -> Mark:
    x, y = plot.x.at(float(point.layers)), plot.y.at(point.spread.mean)
    return Mark(x, y, _DROPS if point.drops else INK, 9.0, "triangle" if point.drops else "circle")


def _line(points: Sequence[DepthPoint], drops: bool, plot: Plot) -> Line | None:
    """Returns a line through the best mean of each depth; None with a single depth."""
    best: dict[int, float] = {}
    for point in points:
        if point.drops == drops:
            best[point.layers] = min(point.spread.mean, best.get(point.layers, point.spread.mean))
    if len(best) < 2:
        return None
    return Line([(plot.x.at(float(x)), plot.y.at(best[x])) for x in sorted(best)], _DROPS if drops else INK, 1.1)


def _group(point: DepthPoint, mark: Mark, plot: Plot) -> Group:
    shapes: list[Shape] = []
    if point.spread.sd is not None:
        ends = [plot.y.within(point.spread.mean + sign * point.spread.sd) for sign in (-1, 1)]
        shapes.append(Line([(mark.x, ends[0]), (mark.x, ends[1])], mark.colour, 1.3))
    text = f"{wording.mean(point.spread)} {wording.spread_text(point.spread)}"
    return Group([*shapes, mark], f"{point.label}: {point.layers} layers, {text}", point.label)
