"""A table of the runs that matter now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from pld_search.app.standing_text import bar, state_text
from pld_search.app.study_status import Standing
from pld_search.report.number_text import duration, number

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 16
WIDE = 100
"""Minimum number of columns for the bars."""
_HEADINGS = ("run", "schedule", "state", "step", "", "loss", "left")
_SCHEDULE, _STATE, _STEP, _BAR = 1, 2, 3, 4
_STYLES = {
    "finished": "green",
    "running": "cyan",
    "evaluating": "cyan",
    "branching": "cyan",
    "diverged": "red",
    "failed": "red",
    "rejected": "yellow",
    "stopped": "yellow",
    "paused": "yellow",
}


def table(standings: list[Standing], width: int = WIDE) -> Table:
    """Returns the table of live runs and then the latest ended runs, with counts of all states in the title.

    Each run takes one line of at most `width` columns: a narrow terminal shows no bars and less of each schedule.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    counts = Counter(run.state for run in standings)
    title = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "preparing"
    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    lines = [_cells(run) for run in chosen(standings)]
    least = [max((len(line[index]) for line in lines), default=0) for index in range(len(_HEADINGS))]
    told = [index for index, size in enumerate(least) if size and (index != _BAR or width >= WIDE)]
    room = max(10, width - sum(least[index] for index in told if index != _SCHEDULE) - 3 * len(told))
    for index in told:
        side: Literal["right", "left"] = "right" if index >= _STEP and index != _BAR else "left"
        most = room if index == _SCHEDULE else None
        drawn.add_column(_HEADINGS[index], justify=side, overflow="ellipsis", no_wrap=True, max_width=most)
    for run, line in zip(chosen(standings), lines, strict=True):
        style = _STYLES.get(run.state, "dim")
        drawn.add_row(*(Text(line[index], style=style if index == _STATE else "") for index in told))
    return drawn


def _cells(run: Standing) -> tuple[str, ...]:
    return (
        f"{run.name} seed {run.seed_index}",
        run.schedule,
        state_text(run) + (" (reused)" if run.reused_from else ""),
        f"{run.step:,} / {run.steps:,}" if run.steps else f"{run.step:,}",
        bar(run.step, run.steps),
        f"{run.loss_name or ''} {number(run.loss)}".strip(),
        duration(run.eta) if run.eta is not None else "",
    )


def chosen(standings: list[Standing]) -> list[Standing]:
    """Returns at most SHOWN runs, in their order: all live runs, then the latest others."""
    if len(standings) <= SHOWN:
        return standings
    going = [run for run in standings if run.state in ("running", "evaluating", "branching", "starting")]
    others = [run for run in standings if run not in going and run.state != "waiting"]
    kept = [*going, *others[-max(0, SHOWN - len(going)) :]][:SHOWN]
    return [run for run in standings if run in kept]
