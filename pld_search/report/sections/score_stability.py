"""The variation of scores: a line for each row and task."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pld_search.report import table_cells, wording
from pld_search.report.fine_tuning import TaskStability, rows_spread_alike, stability
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts


def body(facts: PageFacts) -> Markup | None:
    """Returns the table; None when no run recorded its fine-tunings."""
    rows = stability(facts.table)
    if not rows:
        return None
    known = [column for column in _COLUMNS if any(column.known(task) for row in rows for task in row.tasks)]
    headings = [table_cells.heading("system", left=True), *(column.heading for column in known)]
    lines = [
        tag("tr", table_cells.cell(row.label, None, "left"), *(column.cell(task) for column in known))
        for row in rows
        for task in row.tasks
    ]
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


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table; it is left out if `known` is false for all tasks."""

    heading: Markup
    cell: Callable[[TaskStability], Markup]
    known: Callable[[TaskStability], bool] = lambda _: True


def _interval(task: TaskStability) -> Markup:
    ends = task.interval
    return table_cells.cell(wording.NONE if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}")


def _deviations(task: TaskStability) -> Markup:
    between, within = (None if part is None else math.sqrt(part) for part in (task.found.between, task.found.within))
    return table_cells.cell(wording.number(between), wording.number(within))


def _rate(task: TaskStability) -> Markup:
    alike = "" if task.rates_p is None else f"{task.rates_p:.2g}"
    return table_cells.cell(wording.NONE if task.rate is None else f"{task.rate:g}", alike)


_COLUMNS = (
    _Column(table_cells.heading("task", left=True), lambda task: table_cells.cell(task.task, None, "left")),
    _Column(
        table_cells.heading("score", "majority class"),
        lambda task: table_cells.cell(
            wording.number(task.found.mean), wording.number(task.majority) if task.majority else ""
        ),
    ),
    _Column(
        table_cells.heading("95 % interval", "runs and fine-tunings"),
        _interval,
        lambda task: task.interval is not None,
    ),
    _Column(
        table_cells.heading("sd between runs", "within a run"),
        _deviations,
        lambda task: task.found.between is not None or task.found.within is not None,
    ),
    _Column(
        table_cells.heading("failed", "of"),
        lambda task: table_cells.cell(str(task.failed), str(task.fine_tunings)),
    ),
    _Column(table_cells.heading("lr", "P: rates alike"), _rate, lambda task: task.rate is not None),
    _Column(
        table_cells.heading("buy first", left=True),
        lambda task: table_cells.cell(task.advice or wording.NONE, None, "left"),
        lambda task: bool(task.advice),
    ),
)
