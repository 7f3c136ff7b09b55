"""The Pareto front of a study with several objectives: rows that no other is at least as good as in all of them and
better in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.definition import Goal
from pld_search.records.study_record import StudyView
from pld_search.report import figures, svg, table_cells, wording
from pld_search.report.comparison import SystemRow
from pld_search.report.html_markup import Markup, tag

TITLE = "Pareto front of the objectives"
_NOTE = (
    "Feasible rows that finished and that no other row dominates, best in the first objective first; means over seeds."
)


def goals(view: StudyView) -> list[Goal]:
    """The objectives of the study's search."""
    return view.study.definition.objectives


def measured(table: Sequence[SystemRow], wanted: Sequence[Goal]) -> list[SystemRow]:
    """The feasible rows that have every objective."""
    return [
        row for row in table if row.feasible and not row.diverged and all(name in row.metrics for name, _ in wanted)
    ]


def front(table: Sequence[SystemRow], wanted: Sequence[Goal]) -> list[SystemRow]:
    """Those of the measured rows that nobody dominates, by the first objective."""
    rows = measured(table, wanted)
    scores = {row.label: _scores(row, wanted) for row in rows}
    kept = [row for row in rows if not any(_dominates(other, scores[row.label]) for other in scores.values())]
    return sorted(kept, key=lambda row: scores[row.label])


def _scores(row: SystemRow, wanted: Sequence[Goal]) -> tuple[float, ...]:
    """Less is better."""
    return tuple(row.metrics[name].mean * (1 if minimize else -1) for name, minimize in wanted)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def section(table: Sequence[SystemRow], view: StudyView) -> Markup | None:
    """The table and the picture of the page; None for a study of one objective, or before any row has finished."""
    wanted = goals(view)
    found = front(table, wanted) if len(wanted) > 1 else []
    if not found:
        return None
    colour = figures.colours(table)
    headings = [
        table_cells.heading("row", left=True),
        *[table_cells.heading(name, "minimized" if less else "maximized") for name, less in wanted],
    ]
    lines = [
        tag("tr", table_cells.name(row, colour), *[table_cells.spread(row.metrics[name]) for name, _ in wanted])
        for row in found
    ]
    caption = "Every finished row by the first two objectives; the dashed line joins the front."
    drawing = tag("figure", Markup(picture(table, wanted)), tag("figcaption", caption))
    return tag("section", tag("h2", TITLE), tag("p", _NOTE, class_="soft"), table_cells.grid(headings, lines), drawing)


def picture(table: Sequence[SystemRow], wanted: Sequence[Goal]) -> str:
    """The first two objectives against each other, as SVG: cost or gain to the right, the first objective upwards."""
    from matplotlib.figure import Figure

    (first, _), (second, _) = wanted[:2]
    across, up = (
        f"{name}{' (nats)' if name.endswith('/loss') else ''}, {'lower' if less else 'higher'} is better"
        for name, less in (wanted[1], wanted[0])
    )
    colour = figures.colours(table)
    with svg.styled():
        figure = Figure(figsize=(8.6, 3.7), layout="constrained")
        axis = figure.subplots()
        ideal = front(table, wanted[:2])
        axis.plot(
            [_mean(row, second) for row in ideal],
            [_mean(row, first) for row in ideal],
            color=svg.INK,
            linewidth=0.9,
            linestyle=(0, (4, 3)),
            alpha=0.7,
        )
        for row in measured(table, wanted[:2]):
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


def _mean(row: SystemRow, name: str) -> float:
    return row.metrics[name].mean


def show(table: Sequence[SystemRow], view: StudyView, out: Console) -> None:
    """Print the front in a terminal."""
    wanted = goals(view)
    found = front(table, wanted) if len(wanted) > 1 else []
    if not found:
        return
    lines = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    lines.add_column("row")
    for name, less in wanted:
        lines.add_column(f"{name}\n{'minimized' if less else 'maximized'}", justify="right")
    for row in found:
        lines.add_row(Text(row.label), *[wording.mean(row.metrics[name]) for name, _ in wanted])
    out.print(Text(TITLE, style="bold"))
    out.print(lines)
    out.print(Text(_NOTE, style="dim"))
    out.print()
