"""Systems side by side: every system and sampled trial with its losses, difference, cost, savings, speed and
divergence.
"""

from __future__ import annotations

from pld_search.report import table_cells, wording
from pld_search.report.comparison import SystemRow
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import RowColours, looks
from pld_search.report.step_cost import step_cost
from pld_search.report.study_summary import Summary

_LOSSES = ("valid/loss", "test/loss")
_SHORT = 12


def body(facts: PageFacts) -> Markup:
    """Returns the table, the protocol that makes the rows comparable, and the rule of the verdicts."""
    table, about = facts.table, facts.about
    look = looks(table)
    best = {name: table_cells.best(table, name) for name in _LOSSES}
    primary, tuned = str(about.decide.primary), any(row.tuning_trials for row in table)
    lines = [
        table_cells.line(row, table, *_quality(row, look, best, primary, tuned), *_spent(row, facts.reference))
        for row in facts.shown
    ]
    return join(
        tag("p", _protocol(about), class_="soft"),
        table_cells.grid(_headings(about, tuned), lines),
        tag("p", facts.left_out) if facts.left_out else None,
        tag("p", wording.rule(about, table), class_="soft"),
    )


def _headings(about: Summary, tuned: bool) -> list[Markup]:
    return [
        table_cells.heading("system", "model, schedule", left=True),
        table_cells.heading("steps"),
        *([table_cells.heading("tuning", "trials")] if tuned else []),
        table_cells.heading("valid/loss", "mean ± sd"),
        table_cells.heading(f"{about.decide.primary}", f"less {_whose(about)}"),
        table_cells.heading("verdict", left=True),
        table_cells.heading("below unigram", "nats"),
        table_cells.heading("test/loss", "mean ± sd"),
        table_cells.heading("TFLOP", "executed"),
        table_cells.heading("a step costs", f"FLOPs / seconds, of {_whose(about)}'s"),
        table_cells.heading("saved", "blocks / all, of its own full depth"),
        table_cells.heading("tokens/s", "vs its own full depth"),
        table_cells.heading("runs", "divergence", left=True),
    ]


def _whose(about: Summary) -> str:
    """Returns the reference's name when it is short enough for a heading."""
    name = about.reference or ""
    return name if 0 < len(name) <= _SHORT else "the reference"


def _quality(
    row: SystemRow, look: dict[str, RowColours], best: dict[str, SystemRow | None], primary: str, tuned: bool
) -> list[Markup]:
    return [
        table_cells.name(row, look, model=True),
        table_cells.cell(wording.count(row.steps)),
        *([table_cells.cell(str(row.tuning_trials or wording.NONE))] if tuned else []),
        table_cells.spread(
            row.metrics.get("valid/loss"),
            best["valid/loss"] is row,
            wording.shrunken_text(row),
            bad=row.below_unigram is not None and row.below_unigram < 0,
        ),
        table_cells.difference(row, primary),
        table_cells.below_unigram(row),
        table_cells.spread(row.metrics.get("test/loss"), best["test/loss"] is row),
    ]


def _spent(row: SystemRow, reference: SystemRow | None) -> list[Markup]:
    step = step_cost(row, reference)
    return [
        table_cells.cost(row),
        table_cells.cell(wording.percent(step.flops, 0), wording.percent(step.seconds, 0)),
        table_cells.cell(wording.percent(row.mean("saved/block_flops")), wording.percent(row.mean("saved/flops"))),
        table_cells.cell(
            wording.compact(row.mean("speed/tokens_per_second")), wording.times(row.mean("speed/relative"))
        ),
        _states(row),
    ]


def _protocol(about: Summary) -> str:
    if about.equal == "flops":
        text = (
            "Every row was given the steps that its expected FLOPs buy within the reference's budget; "
            "executed FLOPs agree up to the sampling of layers "
            "(four standard deviations and one step)."
        )
    elif about.equal == "steps":
        text = "Every row ran the same number of steps: rows that drop layers spent fewer FLOPs."
    else:
        text = "Losses are masked-LM losses in nats at full depth."
    return f"{text} Means are over finished seeds; test data were never seen by the search."


def _states(row: SystemRow) -> Markup:
    chips = [
        table_cells.pill(f"{count} {state}", table_cells.PILLS.get(state, ""))
        for state, count in sorted(row.states.items())
    ]
    return tag(
        "td",
        *chips,
        tag("small", f"diverged: {wording.divergence_text(row)}") if row.diverged else None,
        class_="left state",
    )
