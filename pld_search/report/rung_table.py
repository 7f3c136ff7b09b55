"""Early stopping in the report: the trials at each rung and the promoted ones, the cost of ranking, and how well a rung
predicts the order at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import TrialRecord
from pld_search.report import table_cells, wording
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts

TITLE = "Early stopping"
LEAST = 3  # minimum number of pairs for a rank correlation
_NOTE = (
    "Rank correlation (Spearman) of the objective at a rung with that at the next one and at the end, over "
    "the trials that reached both; "
    f"with fewer than {LEAST} there is none. Branches are copies that decay to be ranked: what they spent is "
    "part of the total above."
)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over `n` trials; None with fewer than three trials or with all values equal."""

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung (1, 2, ...): its range of steps over the trials, the numbers of arrived and promoted trials, and the
    cost of the branches that ranked them.
    """

    rung: int
    steps: tuple[int, int]
    arrived: int
    promoted: int
    branch_steps: int
    branch_tflop: float
    with_next: Correlation
    with_final: Correlation


def rungs(view: StudyView) -> list[Rung]:
    """Returns a line for each rung of the search's first objective; empty when no trial was judged at a rung."""
    trials = [trial for trial in view.study.trials.values() if trial.rungs]
    return [_rung(view, trials, number) for number in range(max((len(trial.rungs) for trial in trials), default=0))]


def _rung(view: StudyView, trials: Sequence[TrialRecord], number: int) -> Rung:
    there = [trial for trial in trials if len(trial.rungs) > number]
    branches = [(key, run) for key, run in view.branches.items() if key[2] == number]
    further = [(_at(trial, number), _at(trial, number + 1)) for trial in there if len(trial.rungs) > number + 1]
    final = [
        (_at(trial, number), float(trial.told.values[0]))
        for trial in there
        if trial.told is not None and trial.told.complete and trial.told.values
    ]
    return Rung(
        rung=number + 1,
        steps=(
            min(trial.rungs[number].steps for trial in there),
            max(trial.rungs[number].steps for trial in there),
        ),
        arrived=len(there),
        promoted=sum(trial.promoted > number for trial in there),
        branch_steps=sum(run.executed_steps for _, run in branches),
        branch_tflop=math.fsum(run.final.get("progress/tflop", 0.0) for _, run in branches),
        with_next=spearman(further),
        with_final=spearman(final),
    )


def _at(trial: TrialRecord, number: int) -> float:
    return float(trial.rungs[number].values[0])


def spearman(pairs: Sequence[tuple[float, float]]) -> Correlation:
    """Returns Pearson's correlation of the ranks; equal values share their mean rank (Spearman 1904)."""
    if len(pairs) < LEAST:
        return Correlation(None, len(pairs))
    one, other = _ranks([first for first, _ in pairs]), _ranks([second for _, second in pairs])
    middle = (len(pairs) + 1) / 2
    spread = math.sqrt(math.fsum((a - middle) ** 2 for a in one) * math.fsum((b - middle) ** 2 for b in other))
    if spread == 0:
        return Correlation(None, len(pairs))
    return Correlation(
        math.fsum((a - middle) * (b - middle) for a, b in zip(one, other, strict=True)) / spread, len(pairs)
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """Returns ranks 1 .. n; equal values share their mean rank."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def _texts(rung: Rung) -> Iterator[str]:
    low, high = rung.steps
    yield f"{low:,}" if low == high else f"{low:,} .. {high:,}"
    yield str(rung.arrived)
    yield str(rung.promoted)
    yield f"{rung.branch_steps:,}" if rung.branch_steps else wording.NONE
    yield wording.compact(rung.branch_tflop) if rung.branch_steps else wording.NONE
    yield _correlation(rung.with_next)
    yield _correlation(rung.with_final)


def _correlation(found: Correlation) -> str:
    return f"{wording.signed(found.value, 2) if found.value is not None else wording.NONE} (n = {found.n})"


_HEADINGS = (
    ("step", "of the run"),
    ("arrived", "trials"),
    ("went on", "trials"),
    ("branches", "steps"),
    ("branches", "TFLOP"),
    ("Spearman", "next rung"),
    ("Spearman", "end"),
)


def body(facts: PageFacts) -> Markup | None:
    """Returns the table of the page; None for a search without early stopping."""
    found = rungs(facts.view)
    if not found:
        return None
    lines = [
        tag("tr", table_cells.cell(str(rung.rung)), *[table_cells.cell(text) for text in _texts(rung)])
        for rung in found
    ]
    headings = [table_cells.heading("rung"), *[table_cells.heading(name, small) for name, small in _HEADINGS]]
    return join(tag("p", _NOTE, class_="soft"), table_cells.grid(headings, lines))


def show(view: StudyView, out: Console) -> None:
    """Prints the table in a terminal."""
    found = rungs(view)
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("rung", *(f"{name}\n{small}" for name, small in _HEADINGS)):
        table.add_column(name, justify="right", no_wrap=True)
    for rung in found:
        table.add_row(str(rung.rung), *(text.replace(" = ", "=") for text in _texts(rung)))  # 80 columns
    out.print(Text(TITLE, style="bold"))
    out.print(table)
    out.print(Text(_NOTE, style="dim"))
    out.print()
