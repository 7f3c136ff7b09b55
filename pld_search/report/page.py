"""One self-contained page: the answer, comparison, pictures, schedules, every run, and commands to repeat the study.
Nothing is loaded from elsewhere.

`SECTIONS` lists its parts below the head. A part is a file with a function `body`, which takes the PageFacts of
report/page_facts.py; when it returns None, the part is left out.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pld_search.report import forecast_table, pareto, rung_table
from pld_search.report.html_markup import Markup, tag
from pld_search.report.page_facts import PageFacts, Section
from pld_search.report.sections import (
    answer,
    depth_frontier,
    differences,
    downstream_scores,
    every_run,
    layers,
    learning_curves,
    predicted_ends,
    quality_against_cost,
    row_prices,
    schedule_pictures,
    score_stability,
    searched_space,
    side_by_side,
    study_origin,
    what_matters,
)

SECTIONS = (
    Section("differences", "Differences", differences.body, differences.pictures),
    Section("systems", "Systems side by side", side_by_side.body),
    Section("scores", "Downstream scores", downstream_scores.body),
    Section("stability", "What scores vary by", score_stability.body),
    Section("frontier", "The frontier over depths", depth_frontier.body, depth_frontier.pictures),
    Section("prices", "What each row cost", row_prices.body),
    Section("objectives", pareto.TITLE, pareto.body, pareto.pictures),
    Section("cost", "Quality against cost", quality_against_cost.body, quality_against_cost.pictures),
    Section("curves", "Learning curves", learning_curves.body, learning_curves.pictures),
    Section("layers", "What layers do", layers.body, layers.pictures),
    Section("searched", "What was searched", searched_space.body, searched_space.pictures),
    Section("predicted", "Predictions of the search", predicted_ends.body, predicted_ends.pictures),
    Section("matters", "What matters", what_matters.body, what_matters.pictures),
    Section("schedules", "Schedules", schedule_pictures.body, schedule_pictures.pictures),
    Section("rungs", rung_table.TITLE, rung_table.body),
    Section("forecast", forecast_table.TITLE, forecast_table.body, folded=True),
    Section("runs", "Every run", every_run.body, folded=True),
    Section("provenance", "Provenance", study_origin.body, folded=True),
)


def page(facts: PageFacts) -> str:
    """Returns the whole document as text."""
    parts = [(section, content) for section in SECTIONS if (content := section.body(facts)) is not None]
    links = tag(
        "nav", *(tag("a", section.title, href=f"#{section.key}") for section, _ in parts), aria_label="Sections"
    )
    body = tag("main", answer.head(facts), links, *(_part(section, content) for section, content in parts))
    head = tag(
        "head",
        Markup(
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta '
            'name="color-scheme" content="light dark">'
        ),
        tag("title", f"{facts.about.name} · pld-search"),
        tag("style", Markup(_inlined("page.css"))),
    )
    script = tag("script", Markup(_inlined("page.js")))
    return f'<!DOCTYPE html>\n<html lang="en">{head}{tag("body", body, script)}</html>\n'


def _part(section: Section, content: Markup) -> Markup:
    if not section.folded:
        return tag("section", tag("h2", section.title), content, id=section.key)
    return tag("section", tag("details", tag("summary", tag("h2", section.title)), content), id=section.key)


@cache
def _inlined(name: str) -> str:
    """Reads the style or the script that lies beside this file."""
    return files("pld_search.report").joinpath(name).read_text(encoding="utf-8")
