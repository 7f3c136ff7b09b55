"""Standings for people: a table of the runs that matter now, or a line for one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pld_search.app.study_status import Standing, Whole
from pld_search.report.number_text import duration, number

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


def line(run: Standing) -> str:
    """`pld seed 0: running, step 100 of 400, loss 5.912, 32 s left`."""
    parts = [_state(run), f"step {run.step:,}" + (f" of {run.steps:,}" if run.steps else "")]
    if run.loss is not None:
        parts.append(f"{run.loss_name} loss {run.loss:.3f}" if run.loss_name else f"loss {run.loss:.3f}")
    if run.eta is not None:
        parts.append(f"{duration(run.eta)} left")
    if run.reason and run.state not in ("finished", "running", "evaluating", "branching"):
        parts.append(run.reason)
    if run.reused_from:
        parts.append(f"equal to trial {run.reused_from.replace('/', ' seed ')}, whose result counts")
    return f"{run.name} seed {run.seed_index}: {', '.join(parts)}"


def _state(run: Standing) -> str:
    return f"{run.state} {run.evaluating}" if run.evaluating else run.state


def summary(all_runs: Whole) -> str:
    """`demo ━━━━╌╌ 5 of 8 runs · 62 % of the FLOPs · ~4 min left`."""
    parts = [f"{all_runs.ended} of {all_runs.runs} runs"]
    if all_runs.share is not None:
        parts.append(f"{all_runs.share:.0%} of the FLOPs".replace("%", " %"))
    if all_runs.eta is not None:
        parts.append(f"~{_about(all_runs.eta)} left")
    return f"{all_runs.name} {bar(round(100 * (all_runs.share or 0.0)), 100)} {' · '.join(parts)}"


def _about(seconds: float) -> str:
    """`40 s`, `7 min`, `3.5 h`: no finer than a guess is."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def failure(run: Standing) -> list[str]:
    """What a failed run's log ended with, indented; nothing for others."""
    return [f"    {text}" for text in run.lines] if run.state == "failed" else []


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
            Text(_state(run) + (" (reused)" if run.reused_from else ""), style=_STYLES.get(run.state, "dim")),
            steps,
            bar(run.step, run.steps),
            f"{run.loss_name or ''} {number(run.loss)}".strip(),
            duration(run.eta) if run.eta is not None else "",
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


def bar(step: int, steps: int | None, width: int = 12) -> str:
    """A bar of `width` characters."""
    done = 0 if not steps else width * min(step, steps) // steps
    return "━" * done + "╌" * (width - done)
