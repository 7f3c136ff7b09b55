"""Progress of a study as an observer that reads its files: a live table on a terminal, a line for what changed elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pld_search.errors import PldSearchError
from pld_search.records import jsonl, study
from pld_search.records.run import RunRecord, fold
from pld_search.records.study import StudyRecord
from pld_search.records.trial import TrialRecord
from pld_search.report import words
from pld_search.report.rows import schedule_name, state_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

INTERVAL = 0.5  # seconds between two looks at the files
SHOWN = 16
QUARTERS = 4
_STYLES = {
    "finished": "green",
    "running": "cyan",
    "evaluating": "cyan",
    "diverged": "red",
    "failed": "red",
    "rejected": "yellow",
    "stopped": "yellow",
    "paused": "yellow",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One run as the display shows it; `eta` is seconds left, None where unknown."""

    trial: int
    seed_index: int
    name: str
    schedule: str
    state: str
    step: int
    steps: int | None
    loss: float | None
    eta: float | None
    reason: str | None = None

    @property
    def quarter(self) -> int:
        """How many quarters of the run are done: what a plain line is written for."""
        return 0 if not self.steps else QUARTERS * self.step // self.steps


class Reader:
    """Reads a study's files again and again, folding only those that grew."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._runs: dict[Path, tuple[int, RunRecord]] = {}

    def read(self, folder: Path) -> list[Standing]:
        """Every run that was asked for, by trial and seed."""
        record = study.fold(jsonl.read(folder / "study.jsonl"))
        return list(self._standings(folder, record))

    def _standings(self, folder: Path, record: StudyRecord) -> Iterator[Standing]:
        for trial in record.trials.values():
            for index in trial.seeds:
                yield self._standing(trial, index, self._run(study.trial_folder(folder, trial.number, index) / "events.jsonl"))

    def _run(self, events: Path) -> RunRecord:
        size = events.stat().st_size if events.exists() else 0
        known = self._runs.get(events)
        if known is None or known[0] != size:
            known = self._runs[events] = (size, fold(jsonl.read(events)))
        return known[1]

    def _standing(self, trial: TrialRecord, index: int, run: RunRecord) -> Standing:
        steps = trial.asked.get("steps")
        losses = run.series.get("valid/loss") or run.series.get("train/loss")
        state = _shown_state(state_of(trial, index, run), run, steps, launched=index in trial.launches)
        name = trial.system or f"trial {trial.number}"
        if trial.kind == "tuning":
            name += f" (tuning {trial.number})"
        return Standing(
            trial=trial.number,
            seed_index=index,
            name=name,
            schedule=schedule_name(trial, run),
            state=state,
            step=run.step,
            steps=steps,
            loss=losses[-1][1] if losses else None,
            eta=self._eta(run, steps) if state == "running" else None,
            reason=run.reason or (trial.rejected or {}).get("reason"),
        )

    def _eta(self, run: RunRecord, steps: int | None) -> float | None:
        begun = run.resumed_from[-1] if run.resumed_from else 0
        done, spent = run.step - begun, self._clock() - run.started["time"]
        return None if not steps or done <= 0 or spent <= 0 else spent * (steps - run.step) / done


def _shown_state(state: str, run: RunRecord, steps: int | None, *, launched: bool) -> str:
    """Finer than a record's: waiting or starting before the first event, evaluating after the last step."""
    if state == "new":
        return "starting" if launched else "waiting"
    return "evaluating" if state == "running" and steps and run.step >= steps else state


class Progress:
    """The observer `run` and `demo` hand to the coordinator. `notice` looks at the files twice a second at most; neither method raises."""

    def __init__(self, file: IO[str] | None = None, clock: Callable[[], float] = time.time, live: bool | None = None) -> None:
        from pld_search.report.terminal import console

        self._console: Console = console(file)
        self._clock, self._reader = clock, Reader(clock)
        self._wanted = self._console.is_terminal if live is None else live
        self._live: Live | None = None
        self._looked = 0.0
        self._said: dict[tuple[int, int], tuple[str, int]] = {}

    def notice(self, folder: Path) -> None:
        """Something may have changed in the study's files."""
        if self._clock() - self._looked >= INTERVAL:
            self._show(folder)

    def close(self, folder: Path) -> None:
        """The coordinator ends: show the last state and leave it on the screen."""
        self._show(folder)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, text: str) -> None:
        """A line that is no run's: what is being prepared, or that the tracker cannot be reached."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, folder: Path) -> None:
        self._looked = self._clock()
        try:
            standings = self._reader.read(folder)
        except (OSError, PldSearchError):  # the coordinator tells of broken records; a display only leaves them out
            return
        if self._wanted:
            self._draw(standings)
        else:
            for line in self._news(standings):
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, standings: list[Standing]) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        self._live.update(table(standings))

    def _news(self, standings: list[Standing]) -> Iterator[str]:
        for run in standings:
            key = (run.trial, run.seed_index)
            before, now = self._said.get(key, ("", 0)), (run.state, run.quarter)
            if now != before and run.state not in ("waiting", "starting"):
                self._said[key] = now
                yield line(run)


def line(run: Standing) -> str:
    """`pld seed 0: running, step 100 of 400, loss 5.912, 32 s left`."""
    parts = [run.state, f"step {run.step:,}" + (f" of {run.steps:,}" if run.steps else "")]
    if run.loss is not None:
        parts.append(f"loss {run.loss:.3f}")
    if run.eta is not None:
        parts.append(f"{words.duration(run.eta)} left")
    if run.reason and run.state not in ("finished", "running", "evaluating"):
        parts.append(run.reason)
    return f"{run.name} seed {run.seed_index}: {', '.join(parts)}"


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
            Text(run.state, style=_STYLES.get(run.state, "dim")),
            steps,
            bar(run.step, run.steps),
            words.number(run.loss),
            words.duration(run.eta) if run.eta is not None else "",
        )
    return drawn


def chosen(standings: list[Standing]) -> list[Standing]:
    """At most SHOWN runs, in their order: every run that goes on, then the latest others."""
    if len(standings) <= SHOWN:
        return standings
    going = [run for run in standings if run.state in ("running", "evaluating", "starting")]
    others = [run for run in standings if run not in going and run.state != "waiting"]
    kept = [*going, *others[-max(0, SHOWN - len(going)) :]][:SHOWN]
    return [run for run in standings if run in kept]


def bar(step: int, steps: int | None, width: int = 12) -> str:
    """A bar of `width` characters."""
    done = 0 if not steps else width * min(step, steps) // steps
    return "━" * done + "╌" * (width - done)
