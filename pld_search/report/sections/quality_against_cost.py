"""Quality against cost. The cost of a step is a share of the reference's step, so architectures are comparable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.label_places import Named, labels
from pld_search.report.drawing.plot import Plot
from pld_search.report.drawing.scales import around, limit_of
from pld_search.report.drawing.svg_shapes import INK, Drawing, Group, Line, Mark, Shape, Text
from pld_search.report.drawing.svg_writer import figure, panels
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import RowColours, looks
from pld_search.report.row_names import configuration
from pld_search.report.step_cost import step_cost
from pld_search.spaces.objectives import front

VARIES = 0.03
"""A cost is drawn when the rows differ in it by more than this share."""
_METRIC = "valid/loss"
_SHORT = 16
_TOTAL, _STEP, _SECONDS = "executed TFLOP", "FLOPs of a step, % of {}", "seconds of a step, % of {} (measured)"
_CAPTION = (
    "Lower left is better. The dashed line joins the declared and confirmed rows that no other one beats in "
    "both; a bar is one standard "
    "deviation over seeds, small grey points are sampled configurations of one seed each."
)


def body(facts: PageFacts) -> Markup | None:
    """Returns the pictures and an explanation; None when there is nothing to draw."""
    drawn = pictures(facts)
    if not drawn:
        return None
    said = _CAPTION
    if facts.about.equal == "flops":
        said += (
            " Whole runs executed equal FLOPs by design, so the cost shown is that of a step: a cheaper one bought more"
            " of them. Seconds were measured while runs shared the machine."
        )
    return join(panels(*(figure(each) for each in drawn)), tag("p", said, class_="soft caption"))


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws one picture for each cost, at most two, for page and PDF."""
    table = [row for row in facts.shown if _METRIC in row.metrics]
    return [
        _picture(f"cost{number}", label, known, [row for row in table if row.label in known], facts)
        for number, (label, known) in enumerate(costs(table, facts.reference))
        if known
    ]


def costs(table: Sequence[SystemRow], reference: SystemRow | None) -> list[tuple[str, dict[str, float]]]:
    """Returns (label, cost by row) of the costs to draw: at most two in which the rows differ; executed TFLOP when they
    differ in none.
    """
    whose = f"{reference.label}'s" if reference is not None and len(reference.label) <= _SHORT else "the reference's"
    steps = {row.label: step_cost(row, reference) for row in table}
    every: list[tuple[str, dict[str, float | None]]] = [
        (_TOTAL, {row.label: row.mean("progress/tflop") for row in table}),
        (_STEP.format(whose), {label: _percent(step.flops) for label, step in steps.items()}),
        (_SECONDS.format(whose), {label: _percent(step.seconds) for label, step in steps.items()}),
    ]
    known = [(label, {row: cost for row, cost in found.items() if cost is not None}) for label, found in every]
    worth = [(label, found) for label, found in known if len(found) > 1 and not _alike(list(found.values()))]
    return worth[:2] or known[:1]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _alike(values: Sequence[float]) -> bool:
    return max(values) - min(values) <= VARIES * max(values)


def _picture(name: str, label: str, cost: dict[str, float], table: Sequence[SystemRow], facts: PageFacts) -> Drawing:
    losses = {row.label: row.metrics[_METRIC].mean for row in table}
    declared = [row for row in table if facts.stands(row)]
    limit = limit_of([losses[row.label] for row in table], [losses[row.label] for row in declared])
    shown = [min(value, limit) for value in losses.values()]
    tops = {row.label: losses[row.label] + (row.metrics[_METRIC].sd or 0.0) for row in table}
    bars = [top if losses[label] <= limit else limit for label, top in tops.items()]
    least = [min(losses[row.label], limit) - (row.metrics[_METRIC].sd or 0.0) for row in table]
    plot = Plot.of(around(cost.values(), 0.12), around([*shown, *bars, *least], 0.1))
    look = looks(facts.table)
    marks = {row.label: _mark(row, cost, losses, plot, look, facts.stands(row)) for row in table}
    groups = [_group(row, marks[row.label], cost, label, plot) for row in sorted(table, key=facts.stands)]
    axes = plot.axes(label, "validation loss (nats)")
    taken: list[Mark | Text] = [*marks.values(), *(shape for shape in axes if isinstance(shape, Text))]
    named = [Named(marks[row.label].x, marks[row.label].y, row.label, look[row.label].colour) for row in declared]
    shapes = [*axes, *_front(declared, cost, losses, plot), *groups, *labels(named, taken, plot.area)]
    said = "; ".join(
        f"{row.label} {wording.number(losses[row.label])} at {wording.compact(cost[row.label])}" for row in declared
    )
    return Drawing(
        name, plot.area.right + 12, plot.area.bottom + 40, f"Validation loss against {label}: {said}", shapes
    )


def _mark(
    row: SystemRow,
    cost: dict[str, float],
    losses: dict[str, float],
    plot: Plot,
    look: dict[str, RowColours],
    large: bool,
) -> Mark:
    x, loss = plot.x.at(cost[row.label]), losses[row.label]
    own = look[row.label]
    if loss > plot.y.high:
        return Mark(x, plot.area.top + 4, own.colour, 6.0, "triangle")
    return Mark(x, plot.y.at(loss), own.colour, 9.0 if large else 5.0, own.shape)


def _group(row: SystemRow, mark: Mark, cost: dict[str, float], label: str, plot: Plot) -> Group:
    found = row.metrics[_METRIC]
    shapes: list[Shape] = []
    if found.sd is not None and mark.shape != "triangle":
        ends = [plot.y.within(found.mean + sign * found.sd) for sign in (-1, 1)]
        shapes.append(Line([(mark.x, ends[0]), (mark.x, ends[1])], mark.colour, 1.3))
    text = f"{wording.mean(found)} {wording.spread_text(found)}"
    return Group(
        [*shapes, mark],
        f"{row.label}: {configuration(row)}; {_METRIC} {text}; {label}: {wording.compact(cost[row.label])}",
        row.label,
    )


def _front(
    declared: Sequence[SystemRow], cost: dict[str, float], losses: dict[str, float], plot: Plot
) -> Iterator[Shape]:
    points = [(cost[row.label], losses[row.label]) for row in declared]
    ideal = [points[index] for index in front(points)]
    if len(ideal) > 1:
        yield Line([(plot.x.at(x), plot.y.at(y)) for x, y in sorted(ideal)], INK, 0.9, "4 3", 0.7)
