"""Predictions of the search: the ends predicted at a rung against the measured ends."""

from __future__ import annotations

from collections.abc import Iterator

from pld_search.report import wording
from pld_search.report.drawing.plot import Plot
from pld_search.report.drawing.scales import around
from pld_search.report.drawing.svg_shapes import SOFT, Drawing, Group, Line, Mark, Shape
from pld_search.report.drawing.svg_writer import figure
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.search_model import Prediction, calibrated, predictions, said

_COLOUR = "#0072b2"
_REACH = 1.96
_CAPTION = (
    "A point is a run that was judged at a rung and went on to its end; its bar is the 95 % interval of the "
    "prediction. On the line a "
    "prediction was right. Runs that went on are those that promised much."
)


def body(facts: PageFacts) -> Markup | None:
    """Returns the predictions and their accuracy; None for a search without predictions."""
    found = calibrated(facts.view.study)
    if found is None:
        return None
    drawn = pictures(facts)
    return join(
        tag("p", said(found), class_="soft"),
        tag("div", *(figure(each) for each in drawn), class_="scroll"),
        tag("p", _CAPTION, class_="soft caption"),
    )


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws the measured end over the predicted end, for page and PDF."""
    found = predictions(facts.view.study)
    if not found:
        return []
    both = around([value for each in found for value in (each.mean, each.end)])
    plot = Plot.of(both, both)
    straight = Line([(plot.x.at(end), plot.y.at(end)) for end in both], SOFT, 1.0, "4 3")
    shapes = [*plot.axes("predicted at a rung", "measured at the end"), straight, *_points(found, plot)]
    alt = f"Measured ends over {len(found)} predictions"
    return [Drawing("predicted", plot.area.right + 12, plot.area.bottom + 40, alt, shapes)]


def _points(found: list[Prediction], plot: Plot) -> Iterator[Group]:
    for each in found:
        y = plot.y.at(each.end)
        ends = [plot.x.within(each.mean + sign * _REACH * each.sd) for sign in (-1, 1)]
        shapes: list[Shape] = [
            Line([(ends[0], y), (ends[1], y)], _COLOUR, 1.0, opacity=0.6),
            Mark(plot.x.at(each.mean), y, _COLOUR, 6.0),
        ]
        tip = (
            f"trial {each.trial} at rung {each.rung + 1}: expected {wording.number(each.mean)} ± {each.sd:.3f}, "
            f"came to {wording.number(each.end)}"
        )
        yield Group(shapes, tip, f"trial {each.trial}")
