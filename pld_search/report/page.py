"""One self-contained page: headline, comparison, pictures, schedules, every run, and how to do it again. Nothing is
loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pld_search.records.study_record import StudyView
from pld_search.report import (
    fine_tuning,
    forecast_table,
    headline,
    page_pictures,
    page_tables,
    pareto,
    row_costs,
    rung_table,
    wording,
)
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.html_markup import Markup, tag
from pld_search.report.page_style import CSS
from pld_search.report.provenance import provenance_section
from pld_search.report.run_rows import rows
from pld_search.report.study_summary import Summary, summary
from pld_search.report.table_cells import PILLS, pill
from pld_search.report.terminal import lead_text, leader, runs_text


def page(view: StudyView) -> str:
    """The whole document as text."""
    about, table, found = summary(view), comparison(view), rows(view)
    body = tag(
        "main",
        _header(about, table),
        page_tables.comparison_section(table, about),
        page_tables.downstream_section(table),
        fine_tuning.section(table),
        row_costs.section(table, about),
        pareto.section(table, view),
        page_pictures.pareto_section(table, about),
        page_pictures.frontier_section(table, about),
        page_pictures.curves_section(table, about),
        page_pictures.schedules_section(table),
        rung_table.section(view),
        forecast_table.section(found, view),
        page_tables.runs_section(found),
        provenance_section(about, view),
    )
    head = tag(
        "head",
        Markup(
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        ),
        tag("title", f"{about.name} · pld-search"),
        tag("style", Markup(CSS)),
    )
    return f'<!DOCTYPE html>\n<html lang="en">{head}{tag("body", body)}</html>\n'


def _header(about: Summary, table: Sequence[SystemRow]) -> Markup:
    best = leader(table, about)
    fresh = about.winner is not None and about.winner.basis == "confirmed"
    confirmed = pill("confirmed", "good") if fresh else pill("not confirmed", "warn")
    return tag(
        "header",
        tag("h1", about.name),
        tag(
            "div",
            pill(about.state, PILLS.get(about.state, "warn")),
            Markup(" "),
            confirmed,
            Markup(" "),
            tag("span", f"{runs_text(about.states)} · {about.budget}", class_="soft"),
        ),
        tag("p", " ".join(answer), class_="lead answer") if (answer := headline.lines(table, about)) else None,
        tag("p", lead_text(best, about), class_="lead") if best is not None else None,
        tag(
            "div",
            *[tag("div", tag("b", value), tag("span", label), class_="fact") for value, label in _facts(about, best)],
            class_="facts",
        ),
    )


def _facts(about: Summary, best: SystemRow | None) -> Iterable[tuple[str, str]]:
    if best is not None:
        yield best.label, f"best {about.objective}"
        yield wording.mean(best.metrics[about.objective]), about.objective
        difference = best.differences.get(about.objective)
        if difference is not None:
            said = wording.verdict(best, about.objective) or best.no_verdict
            yield wording.difference_text(difference), f"to {about.reference}{f': {said}' if said else ''}"
    if about.entropy is not None:
        yield wording.number(about.entropy), "unigram entropy of the corpus (nats)"
    if best is not None and best.below_unigram is not None:
        yield wording.number(best.below_unigram), "nats below the unigram entropy"
    yield f"{wording.compact(about.tflop)} TFLOP", f"executed, in {wording.duration(about.seconds)} of training"
