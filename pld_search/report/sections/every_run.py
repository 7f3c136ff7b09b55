"""A table with one line for each run and its identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pld_search.report import table_cells, wording
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_names import sampled_text
from pld_search.report.run_rows import Row

_RUN_METRICS = (
    ("valid/loss", "valid/loss", 3),
    ("test/loss", "test/loss", 3),
    ("progress/tflop", "TFLOP", 2),
    ("progress/seconds", "seconds", 0),
    ("speed/tokens_per_second", "tokens/s", 0),
)


MOST = 400
"""Maximum number of runs in the table; it keeps the page small."""
_LEFT = ("system", "schedule", "state")


def body(facts: PageFacts) -> Markup:
    """Returns the table of runs."""
    table, entropy = facts.runs[:MOST], facts.about.entropy
    averages = sorted({name for row in table for name in row if name.endswith("/average")})
    metrics = [*_RUN_METRICS, *((name, name, 3) for name in averages)]
    headings = [
        table_cells.heading(name, left=name in _LEFT)
        for name in ("trial", "seed", "system", "schedule", "state", "step", "executed")
    ]
    headings += [table_cells.heading(label) for _, label, _ in metrics] + [table_cells.heading("digest", left=True)]
    lines = [
        tag(
            "tr",
            *_run_cells(row, facts.view.study.trials[row["trial"]].asked.params),
            *[_metric(row, name, digits, entropy) for name, _, digits in metrics],
            _digest(row),
            class_="sampled" if row["kind"] == "sampled" else None,
        )
        for row in table
    ]
    left = len(facts.runs) - len(table)
    more = f" {left:,} more runs stand in report.csv." if left else ""
    note = tag("p", f"Executed steps count those repeated after an interruption.{more}", class_="soft")
    return join(note, table_cells.grid(headings, lines))


def _metric(row: Row, name: str, digits: int, entropy: float | None) -> Markup:
    """Returns a number; a loss above the unigram entropy is red."""
    value = row.get(name)
    bad = name.endswith("/loss") and entropy is not None and value is not None and value > entropy
    return table_cells.cell(wording.number(value, digits), None, "bad-text" if bad else None)


def _run_cells(row: Row, params: Mapping[str, Any]) -> list[Markup]:
    done = f"{row['step']:,} / {row['steps']:,}" if row["steps"] is not None else wording.count(row["step"])
    return [
        table_cells.cell(str(row["trial"])),
        table_cells.cell(str(row["seed"])),
        table_cells.cell(row["system"] or row["kind"], "tuning" if row["kind"] == "tuning" else None, "left"),
        table_cells.cell(sampled_text(row["schedule"], params) if params else row["schedule"], None, "left wrap"),
        tag(
            "td",
            table_cells.pill(row["state"], table_cells.PILLS.get(row["state"], "")),
            *[tag("small", text) for text in _remarks(row)],
            class_="left wrap",
        ),
        table_cells.cell(done),
        table_cells.cell(wording.count(None if row["reused_from"] else row["executed_steps"])),
    ]


def _remarks(row: Row) -> list[str]:
    """Returns the texts below a state: the reason, and the run whose result is reused."""
    reused = (
        f"equal to trial {row['reused_from'].replace('/', ' seed index ')}, trained once"
        if row["reused_from"]
        else None
    )
    return [text for text in (row["reason"], reused) if text]


def _digest(row: Row) -> Markup:
    digest = str(row["digest"] or "")
    return tag("td", tag("code", digest.removeprefix("sha256:")[:12], title=digest), class_="left")
