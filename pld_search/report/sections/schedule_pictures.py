"""A picture of each distinct schedule: keep probabilities by layer and progress, and theta."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pld_search.frozen import canonical_json
from pld_search.records.run_record import RunRecord
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.plot import SMALL
from pld_search.report.drawing.scales import Scale
from pld_search.report.drawing.svg_shapes import RULE, SOFT, Area, Box, Drawing, Line, Shape, Text
from pld_search.report.drawing.svg_writer import figure
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.recorded_experiments import growth_text
from pld_search.report.row_names import configuration
from pld_search.schedules.existing_layers import layers_at
from pld_search.specs.experiment import Experiment

SCHEDULES_SHOWN = 12
_HOW_TO_READ = (
    "Above: the probability that a layer is kept, by layer (the first one lowest) and progress; light is "
    "always, dark is "
    "never, blank where the layer does not exist yet. Below: theta (orange) and the expected share of the "
    "layers (blue)."
)
_WIDTH, _HEAT, _CURVES, _LEFT, _COLUMNS = 330.0, 84.0, 62.0, 34.0, 96
_NEARLY = 0.0005
_THETA, _LAYERS, _THERE = "#d55e00", "#0072b2", "#8a8f98"
# eleven grades of viridis, perceptually uniform: 0.9 and 1.0 differ as visibly as 0.5 and 0.6
_GRADES = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c",
    "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725",
)  # fmt: skip


def body(facts: PageFacts) -> Markup | None:
    """Returns the pictures with the rows of each schedule; None when no row has an experiment."""
    named, drawn = _distinct(facts), pictures(facts)
    if not drawn:
        return None
    growths = [
        growth_text(each.experiment, _first_run(each)) for each in _first_rows(named) if each.experiment is not None
    ]
    blocks = [
        tag("div", tag("h3", ", ".join(rows)), figure(drawing, f"{grown}; dashed: layers there are" if grown else None))
        for rows, drawing, grown in zip(
            [[row.label for row in each] for each in named.values()], drawn, growths, strict=False
        )
    ]
    left = len(named) - len(drawn)
    note = (
        f"{left} more schedules of sampled trials are not drawn; their values are in the table above." if left else None
    )
    return join(
        tag("p", _HOW_TO_READ, class_="soft"),
        tag("div", *blocks, class_="schedules"),
        tag("p", note, class_="soft") if note else None,
    )


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws one picture for each distinct schedule, at most twelve, for page and PDF."""
    rows = _first_rows(_distinct(facts))[:SCHEDULES_SHOWN]
    return [
        _picture(f"schedule{number}", row, row.experiment)
        for number, row in enumerate(rows)
        if row.experiment is not None
    ]


def _distinct(facts: PageFacts) -> dict[str, list[SystemRow]]:
    """Groups rows by their plan: equal schedules, steps, layers and growth share a picture."""
    named: dict[str, list[SystemRow]] = {}
    for row in facts.table:
        if row.experiment is not None:
            of, texts = row.experiment, {"name", "about", "source"}
            schedule = of.schedule.model_dump(mode="json", exclude=texts)
            key = canonical_json([schedule, of.steps, of.model.layers, growth_text(of, _first_run(row))])
            named.setdefault(key, []).append(row)
    return named


def _first_rows(named: dict[str, list[SystemRow]]) -> list[SystemRow]:
    return [rows[0] for rows in named.values()]


def _first_run(row: SystemRow) -> RunRecord:
    return next(iter(row.runs.values()), RunRecord())


def _picture(name: str, row: SystemRow, what: Experiment) -> Drawing:
    at = np.unique(np.linspace(0, what.steps, _COLUMNS + 1).round().astype(np.int64))
    theta = what.schedule.theta(at, what.steps)
    keep = what.schedule.keep_probabilities(at, what.steps, what.layers_at)
    stack = layers_at(what.layers_at)
    there = stack.at(at)
    heat = Box(_LEFT, 4, _WIDTH - 8, 4 + _HEAT)
    curves = Box(_LEFT, heat.bottom + 12, heat.right, heat.bottom + 12 + _CURVES)
    progress = Scale(0, 1, heat.left, heat.right)
    places = [progress.at(step / what.steps) for step in at.tolist()]
    shapes = [
        *_heat(keep, there, places, heat, stack.final),
        *_curves(theta, keep.sum(axis=-1) / stack.final, there / stack.final, places, curves, len(stack.sizes) > 1),
    ]
    mean = float(keep.sum(axis=-1).mean())
    alt = (
        f"Schedule {configuration(row)}: {mean:.2f} of {stack.final} layers over {what.steps:,} steps, theta "
        f"{theta[-1]:.3f} at the end"
    )
    return Drawing(name, _WIDTH, curves.bottom + 30, alt, shapes)


def _heat(keep: Any, there: Any, places: list[float], box: Box, layers: int) -> Iterator[Shape]:
    """Draws a strip for each layer, cut where its grade changes."""
    height = (box.bottom - box.top) / layers
    for layer in range(layers):
        bottom = box.bottom - layer * height
        grades = [
            _grade(float(value)) if layer < exists else None
            for value, exists in zip(keep[:, layer], there, strict=True)
        ]
        start = 0
        for index in range(1, len(places)):
            if index == len(places) - 1 or grades[index] != grades[start]:
                grade = grades[start]
                if grade is not None:
                    corners = ((places[start], bottom - height), (places[index], bottom - height))
                    yield Area([*corners, (places[index], bottom), (places[start], bottom)], _GRADES[grade])
                start = index
    for layer in sorted({1, layers}):
        middle = box.bottom - (layer - 0.5) * height
        yield Text(box.left - 5, middle + SMALL * 0.33, str(layer), SMALL, "end", SOFT)


def _grade(probability: float) -> int:
    """Returns 0 only for never and 10 only for always (to three decimals); the others share the range between."""
    if probability < _NEARLY or probability > 1 - _NEARLY:
        return 10 * round(probability)
    return min(max(round(10 * probability), 1), 9)


def _curves(theta: Any, kept: Any, there: Any, places: list[float], box: Box, grows: bool) -> Iterator[Shape]:
    scale = Scale(0, 1.04, box.bottom, box.top)
    for value, text in ((0.0, "0"), (0.5, "½"), (1.0, "1")):
        y = scale.at(value)
        yield Line([(box.left, y), (box.right, y)], RULE, 0.6)
        yield Text(box.left - 5, y + SMALL * 0.33, text, SMALL, "end", SOFT)
    if grows:
        yield _line(there, places, scale, _THERE, "4 2")
    yield _line(kept, places, scale, _LAYERS)
    yield _line(theta, places, scale, _THETA)
    for share, text, anchor in ((0.0, "0 %", "start"), (0.5, "progress", "middle"), (1.0, "100 %", "end")):
        x = box.left + share * (box.right - box.left)
        yield Text(x, box.bottom + 15, text, SMALL, anchor, SOFT)  # type: ignore[arg-type]


def _line(values: Any, places: list[float], scale: Scale, colour: str, dash: str | None = None) -> Line:
    return Line([(x, scale.at(float(value))) for x, value in zip(places, values, strict=True)], colour, 1.7, dash)
