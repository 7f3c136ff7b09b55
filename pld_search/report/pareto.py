"""The Pareto front of a study with several objectives: rows that no other is at least as good as in all of them and
better in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.study_record import StudyView
from pld_search.report import figures, svg, table_cells, wording
from pld_search.report.comparison import SystemRow
from pld_search.report.html_markup import Markup, tag
from pld_search.spaces.objectives import Objective, Objectives
from pld_search.spaces.objectives import front as nondominated
from pld_search.specs.metrics import unit_text

TITLE = "Pareto front of the objectives"
_NOTE = (
    "Feasible rows that finished and that no other row dominates, best in the first objective first; means over seeds."
)


def measured(table: Sequence[SystemRow], wanted: Objectives) -> list[SystemRow]:
    """The feasible rows that have every objective."""
    return [
        row for row in table if row.feasible and not row.diverged and all(goal.metric in row.metrics for goal in wanted)
    ]


def front(table: Sequence[SystemRow], wanted: Objectives) -> list[SystemRow]:
    """The measured rows that no other dominates, by the first objective."""
    rows = measured(table, wanted)
    vectors = [wanted.signed([row.metrics[goal.metric].mean for goal in wanted]) for row in rows]
    return [rows[index] for index in nondominated(vectors)]


def section(table: Sequence[SystemRow], view: StudyView) -> Markup | None:
    """The table and the picture of the page; None for a study of one objective, or before any row has finished."""
    wanted = Objectives.of_definition(view.study.definition.tree)
    found = front(table, wanted) if len(wanted) > 1 else []
    if not found:
        return None
    colour = figures.colours(table)
    headings = [
        table_cells.heading("row", left=True),
        *[table_cells.heading(goal.metric, f"{goal.direction}d") for goal in wanted],
    ]
    lines = [
        tag("tr", table_cells.name(row, colour), *[table_cells.spread(row.metrics[goal.metric]) for goal in wanted])
        for row in found
    ]
    caption = "Every finished row by the first two objectives; the dashed line joins the front."
    drawing = tag("figure", Markup(picture(table, wanted)), tag("figcaption", caption))
    return tag("section", tag("h2", TITLE), tag("p", _NOTE, class_="soft"), table_cells.grid(headings, lines), drawing)


def picture(table: Sequence[SystemRow], wanted: Objectives) -> str:
    """The first two objectives against each other, as SVG: cost or gain to the right, the first objective upwards."""
    from matplotlib.figure import Figure

    drawn = Objectives(wanted.goals[:2])
    first, second = (goal.metric for goal in drawn)
    up, across = (axis_text(goal) for goal in drawn)
    colour = figures.colours(table)
    with svg.styled():
        figure = Figure(figsize=(8.6, 3.7), layout="constrained")
        axis = figure.subplots()
        ideal = front(table, drawn)
        axis.plot(
            [_mean(row, second) for row in ideal],
            [_mean(row, first) for row in ideal],
            color=svg.INK,
            linewidth=0.9,
            linestyle=(0, (4, 3)),
            alpha=0.7,
        )
        for row in measured(table, drawn):
            x, y = _mean(row, second), _mean(row, first)
            axis.plot(
                x,
                y,
                color=colour[row.label],
                marker="o",
                markersize=8 if row.system is not None else 4.5,
                linestyle="none",
            )
            if row.system is not None or row in ideal:
                axis.annotate(
                    figures.escaped(row.label), (x, y), xytext=(6, 6), textcoords="offset points", fontsize=8.5
                )
        axis.set_xlabel(across)
        axis.set_ylabel(up)
        axis.margins(x=0.14, y=0.14)
        return svg.to_svg(figure, "objectives")


def axis_text(goal: Objective) -> str:
    """`valid/loss (nats), lower is better`."""
    unit = unit_text(goal.metric)
    return f"{goal.metric}{f' ({unit})' if unit else ''}, {'lower' if goal.minimize else 'higher'} is better"


def _mean(row: SystemRow, name: str) -> float:
    return row.metrics[name].mean


def show(table: Sequence[SystemRow], view: StudyView, out: Console) -> None:
    """Print the front in a terminal."""
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
