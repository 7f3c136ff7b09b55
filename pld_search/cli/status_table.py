"""Standings for people: a table of the runs that matter now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pld_search.app.standing_text import bar, state_text
from pld_search.app.study_status import Standing
from pld_search.report import wording

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 16
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


def table(standings: list[Standing]) -> Table:
    """The runs that matter now: those going on, then the latest that ended, with counts of the rest in the title."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    counts = Counter(run.state for run in standings)
    title = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "preparing"
    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("run", "schedule", "state"):
        drawn.add_column(heading)
    for heading in ("step", "", "loss", "left"):
        drawn.add_column(heading, justify="left" if not heading else "right")
    for run in chosen(standings):
        steps = f"{run.step:,} / {run.steps:,}" if run.steps else f"{run.step:,}"
        drawn.add_row(
            Text(f"{run.name} seed {run.seed_index}"),
            Text(run.schedule),
            Text(state_text(run) + (" (reused)" if run.reused_from else ""), style=_STYLES.get(run.state, "dim")),
            steps,
            bar(run.step, run.steps),
            f"{run.loss_name or ''} {wording.number(run.loss)}".strip(),
            wording.duration(run.eta) if run.eta is not None else "",
        )
    return drawn


def chosen(standings: list[Standing]) -> list[Standing]:
    """At most SHOWN runs, in their order: every run that goes on, then the latest others."""
    if len(standings) <= SHOWN:
        return standings
    going = [run for run in standings if run.state in ("running", "evaluating", "branching", "starting")]
    others = [run for run in standings if run not in going and run.state != "waiting"]
    kept = [*going, *others[-max(0, SHOWN - len(going)) :]][:SHOWN]
    return [run for run in standings if run in kept]
