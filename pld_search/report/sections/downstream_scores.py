"""Downstream scores, one column for each task."""

from __future__ import annotations

from pld_search.report import table_cells, wording
from pld_search.report.comparison import SystemRow, downstream
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import looks

_SCORES = (
    "After fine-tuning at full depth; higher is better. Below each score: the difference to the reference, "
    "and half of its interval. "
    "An average is the mean over tasks of each task's mean metric."
)


def body(facts: PageFacts) -> Markup | None:
    """Returns the table of fine-tuning scores; None when no row was fine-tuned."""
    table = facts.table
    names = downstream(table)
    if not names:
        return None
    look = looks(table)
    leaders = {name: table_cells.best(table, name) for name in names}
    lines = [
        table_cells.line(
            row,
            table,
            table_cells.name(row, look),
            *[_score(row, name, leaders[name] is row) for name in names],
        )
        for row in facts.shown
        if any(name in row.metrics for name in names)
    ]
    guess = facts.about.majority
    if any(name in guess for name in names):
        said = tag("td", "majority class", tag("small", "the commonest label for every example"), class_="left name")
        lines.append(
            tag("tr", said, *[table_cells.cell(wording.number(guess.get(name))) for name in names], class_="line")
        )
    headings = [
        table_cells.heading("system", left=True),
        *[table_cells.heading(name.split("/", 1)[1], name.split("/", 1)[0]) for name in names],
    ]
    return join(tag("p", _SCORES, class_="soft"), table_cells.grid(headings, lines))


def _score(row: SystemRow, name: str, best: bool) -> Markup:
    spread, found = row.metrics.get(name), row.differences.get(name)
    sd = f" ± {spread.sd:.3f}" if spread is not None and spread.sd is not None else ""
    said = (wording.difference_text(found), wording.half_width_text(found), wording.verdict(row, name))
    below = " ".join(part for part in said if part) if found is not None else None
    return table_cells.cell(wording.mean(spread) + sd, below, "best" if best else None)
