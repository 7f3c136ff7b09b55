"""The Pareto front of a study with several objectives: the rows that no other row dominates, where a dominating row is
at least as good in all objectives and better in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.study_record import StudyView
from pld_search.report import table_cells, wording
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.label_places import Named, labels
from pld_search.report.drawing.plot import Plot
from pld_search.report.drawing.scales import around
from pld_search.report.drawing.svg_shapes import INK, Drawing, Group, Line, Mark, Shape
from pld_search.report.drawing.svg_writer import figure
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import looks
from pld_search.spaces.objectives import Objective, Objectives
from pld_search.spaces.objectives import front as nondominated
from pld_search.specs.metrics import unit_text

_WIDTH = 620.0
TITLE = "Pareto front of the objectives"
_NOTE = (
    "Feasible rows that finished and that no other row dominates, best in the first objective first; means over seeds."
)


def measured(table: Sequence[SystemRow], wanted: Objectives) -> list[SystemRow]:
    """Returns the feasible rows that have every objective."""
    return [
        row for row in table if row.feasible and not row.diverged and all(goal.metric in row.metrics for goal in wanted)
    ]


def front(table: Sequence[SystemRow], wanted: Objectives) -> list[SystemRow]:
    """Returns the measured rows that no other row dominates, ordered by the first objective."""
    rows = measured(table, wanted)
    vectors = [wanted.signed([row.metrics[goal.metric].mean for goal in wanted]) for row in rows]
    return [rows[index] for index in nondominated(vectors)]


def body(facts: PageFacts) -> Markup | None:
    """Returns table and picture of the page; None for a study of one objective or before any row has finished."""
    table, wanted = facts.table, facts.about.objectives
    found = front(table, wanted) if len(wanted) > 1 else []
    if not found:
        return None
    look = looks(table)
    headings = [
        table_cells.heading("row", left=True),
        *[table_cells.heading(goal.metric, f"{goal.direction}d") for goal in wanted],
    ]
    lines = [
        tag("tr", table_cells.name(row, look), *[table_cells.spread(row.metrics[goal.metric]) for goal in wanted])
        for row in found
    ]
    caption = "Every finished row by the first two objectives; the dashed line joins the front."
    drawn = [figure(each, caption) for each in pictures(facts)]
    return join(tag("p", _NOTE, class_="soft"), table_cells.grid(headings, lines), *drawn)


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws the first two objectives against each other; empty for one objective or before any row has finished."""
    wanted = facts.about.objectives
    if len(wanted) < 2 or not front(facts.table, wanted):
        return []
    drawn = Objectives(wanted.goals[:2])
    rows, ideal = measured(facts.table, drawn), front(facts.table, drawn)
    places = {row.label: (_mean(row, drawn.goals[1].metric), _mean(row, drawn.goals[0].metric)) for row in rows}
    across, up = (around([place[side] for place in places.values()], 0.12) for side in (0, 1))
    plot = Plot.of(across, up, width=_WIDTH)
    marks = _marks(facts, rows, places, plot)
    upwards, sideways = (axis_text(goal) for goal in drawn)
    joined = sorted((marks[row.label].x, marks[row.label].y) for row in ideal)
    shapes: list[Shape | Group] = [*plot.axes(sideways, upwards)]
    if len(joined) > 1:
        shapes.append(Line(joined, INK, 0.9, "4 3", 0.7))
    shapes += [Group([mark], _tip(label, places[label], drawn), label) for label, mark in marks.items()]
    kept = {row.label for row in ideal} | {row.label for row in rows if facts.stands(row)}
    points = [Named(mark.x, mark.y, label, mark.colour) for label, mark in marks.items() if label in kept]
    shapes += labels(points, list(marks.values()), plot.area)
    said = "; ".join(_tip(row.label, places[row.label], drawn) for row in ideal)
    alt = f"The front of {upwards} and {sideways}: {said}"
    return [Drawing("objectives", _WIDTH, plot.area.bottom + 40, alt, shapes)]


def _marks(
    facts: PageFacts, rows: Sequence[SystemRow], places: Mapping[str, tuple[float, float]], plot: Plot
) -> dict[str, Mark]:
    look, found = looks(facts.table), {}
    for row in rows:
        own, (x, y) = look[row.label], places[row.label]
        size = 9.0 if facts.stands(row) else 5.0
        found[row.label] = Mark(plot.x.at(x), plot.y.at(y), own.colour, size, own.shape)
    return found


def _tip(label: str, place: tuple[float, float], drawn: Objectives) -> str:
    second, first = (wording.number(value) for value in place)
    return f"{label}: {drawn.goals[0].metric} {first}, {drawn.goals[1].metric} {second}"


def axis_text(goal: Objective) -> str:
    """Formats the text of an axis: `valid/loss (nats), lower is better`."""
    unit = unit_text(goal.metric)
    return f"{goal.metric}{f' ({unit})' if unit else ''}, {'lower' if goal.minimize else 'higher'} is better"


def _mean(row: SystemRow, name: str) -> float:
    return row.metrics[name].mean


def show(table: Sequence[SystemRow], view: StudyView, out: Console) -> None:
    """Prints the front in a terminal."""
    wanted = Objectives.of_definition(view.study.definition.tree)
    found = front(table, wanted) if len(wanted) > 1 else []
    if not found:
        return
    lines = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    lines.add_column("row")
    for goal in wanted:
        lines.add_column(f"{goal.metric}\n{goal.direction}d", justify="right")
    for row in found:
        lines.add_row(Text(row.label), *[wording.mean(row.metrics[goal.metric]) for goal in wanted])
    out.print(Text(TITLE, style="bold"))
    out.print(lines)
    out.print(Text(_NOTE, style="dim"))
    out.print()
