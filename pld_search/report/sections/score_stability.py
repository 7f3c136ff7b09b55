"""The variation of scores: a line for each row and task."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pld_search.report import table_cells, wording
from pld_search.report.fine_tuning import TaskStability, rows_spread_alike, stability
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts


def body(facts: PageFacts) -> Markup | None:
    """Returns the table; None when no run recorded its fine-tunings."""
    rows = stability(facts.table)
    if not rows:
        return None
    headings = [
        table_cells.heading("system", left=True),
        table_cells.heading("task", left=True),
        table_cells.heading("score", "majority class"),
        table_cells.heading("95 % interval", "runs and fine-tunings"),
        table_cells.heading("sd between runs", "within a run"),
        table_cells.heading("failed", "of"),
        table_cells.heading("lr", "P: rates alike"),
        table_cells.heading("buy first", left=True),
    ]
    lines = [tag("tr", *_cells(row.label, task)) for row in rows for task in row.tasks]
    means = ", ".join(
        f"{row.label} {row.interquartile.value:.3f} ({row.interquartile.low:.3f} to {row.interquartile.high:.3f})"
        for row in rows
    )
    alike = ", ".join(f"{task} {p:.2g}" for task, p in rows_spread_alike(facts.table).items())
    notes = [
        f"Interquartile mean over tasks, with the interval of its fine-tunings: {means}.",
        f"P that the fine-tunings of all rows spread alike (Brown and Forsythe): {alike}." if alike else "",
        "A fine-tuning has failed where it predicts one class for all.",
    ]
    return join(table_cells.grid(headings, lines), *[tag("p", note, class_="soft") for note in notes if note])


def _cells(label: str, task: TaskStability) -> Iterable[Markup]:
    between, within = (None if part is None else math.sqrt(part) for part in (task.found.between, task.found.within))
    ends = task.interval
    return (
        table_cells.cell(label, None, "left"),
        table_cells.cell(task.task, None, "left"),
        table_cells.cell(wording.number(task.found.mean), wording.number(task.majority) if task.majority else ""),
        table_cells.cell(wording.NONE if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"),
        table_cells.cell(wording.number(between), wording.number(within)),
        table_cells.cell(str(task.failed), str(task.fine_tunings)),
        table_cells.cell(
            wording.NONE if task.rate is None else f"{task.rate:g}",
            "" if task.rates_p is None else f"{task.rates_p:.2g}",
        ),
        table_cells.cell(task.advice or wording.NONE, None, "left"),
    )
