"""The status of every run of a study, read from its files at each look; `run` and `status` show it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pld_search.records.fold_store import fold_store
from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_record import StudyRecord, fold_study, run_folder
from pld_search.records.trial_record import LaunchRecord, TrialRecord
from pld_search.report.run_rows import reused_from, schedule_name
from pld_search.report.sampled_values import sampled_text
from pld_search.search.coordinator_lock import Holder
from pld_search.search.run_outcomes import failed_for_good

QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of one run for display. eta: seconds left, None when unknown. lines: last log lines of a failed run.
    loss_name: `valid` or `train`. flops: forecast of the whole run. evaluating: the current fine-tuning, `older, 2 of
    3`.
    """

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
    reused_from: str | None = None
    launches: int = 0
    lines: tuple[str, ...] = ()
    loss_name: str | None = None
    flops: float | None = None
    evaluating: str | None = None

    @property
    def quarter(self) -> int:
        """The number of completed quarters of the run; the plain output has a line for each quarter."""
        return 0 if not self.steps else QUARTERS * self.step // self.steps


_SHOWN = tuple(field.name for field in fields(Standing))
ENDED = ("finished", "diverged", "pruned", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Whole:
    """All runs of a study together, weighted by forecast FLOPs. share: share of the FLOPs that is done, in [0, 1]. eta:
    seconds left at the speed of the runs that train now. Both are None when unknown. `runs` includes runs of a search
    that were not asked yet, at the mean FLOPs of the others. Confirming runs that were not asked and evaluation are
    excluded.
    """

    name: str
    ended: int
    runs: int
    share: float | None
    eta: float | None


def whole(name: str, standings: Sequence[Standing], expected: int = 0) -> Whole:
    """Sums `standings`; when `expected` is larger than their number, the rest are runs that come later."""
    runs = max(expected, len(standings))
    ended = sum(run.state in ENDED for run in standings)
    known = [run for run in standings if run.flops]
    if not known or not runs:
        return Whole(name, ended, runs, None, None)
    mean = sum(run.flops or 0.0 for run in known) / len(known)
    amounts = [(run, run.flops or mean, _done(run)) for run in standings]
    total = mean * (runs - len(standings)) + sum(amount for _, amount, _ in amounts)
    left = total - sum(amount * done for _, amount, done in amounts)
    speed = sum(amount * (1 - done) / run.eta for run, amount, done in amounts if run.eta)
    return Whole(name, ended, runs, 1 - left / total, left / speed if speed else None)


def _done(run: Standing) -> float:
    """Returns the completed share of a run's steps; 1 for an ended run and for a reused run."""
    if run.state in ENDED or run.reused_from:
        return 1.0
    return min(1.0, run.step / run.steps) if run.steps else 0.0


def _fine_tuning(run: RunRecord) -> str | None:
    """Returns the task of the current fine-tuning, from the number of ended ones; None when none is left."""
    evaluation = ((run.started and run.started.experiment) or {}).get("evaluation") or {}
    rates = evaluation.get("lr")
    seeds = int(evaluation.get("seeds") or 1) * (len(rates) if isinstance(rates, list | tuple) else 1)
    jobs = [task.get("name") for task in evaluation.get("tasks") or () for _ in range(seeds)]
    return f"{jobs[run.scored]}, {run.scored + 1} of {len(jobs)}" if run.scored < len(jobs) else None


def _still_to_ask(record: StudyRecord) -> int:
    """Returns the number of runs of systems, tuning trials and sampled trials that the study has still to ask for."""
    tree, trials = record.definition.tree, record.trials.values()
    seeds, search, later = int(tree.get("seeds") or 1), tree.get("search") or {}, 0
    for system in tree.get("systems") or ():
        asked = sum(trial.system == system["name"] for trial in trials)
        each, grid = int(system.get("seeds") or seeds), len(system.get("rates") or ())
        if grid:
            later += max(0, grid - asked) + (each if asked <= grid else 0)
        else:
            later += max(0, int(system.get("tune") or 1) - asked) * each
    sampled = sum(trial.kind == "sampled" for trial in trials)
    return later + max(0, int(search.get("trials") or 0) - sampled) * int(search.get("seeds") or seeds)


class Reader:
    """Reads a study's files again and again and folds only grown files; `record` is the study at the last look."""

    def __init__(self, clock: Callable[[], float] = time.time, *, retries: int = 0) -> None:
        self._clock, self._retries = clock, retries
        self.record = StudyRecord()

    @property
    def failed(self) -> list[int]:
        """The trials in which a run failed for good, more often than `retries`."""
        return failed_for_good(self.record.trials.values(), self._retries)

    def read(self, folder: Path) -> list[Standing]:
        """Returns every run that was asked for, by trial and seed."""
        self.record = fold_study(folder)
        return list(self._standings(folder))

    def whole(self, standings: Sequence[Standing]) -> Whole:
        """Returns all runs of the study together, as of the last `read`."""
        expected = len(standings) + (0 if self.record.completed else _still_to_ask(self.record))
        return whole(self.record.name or "", standings, expected)

    def _standings(self, folder: Path) -> Iterator[Standing]:
        if not self.record.trials:
            return
        store = fold_store(folder)
        for trial in self.record.trials.values():
            for index in trial.indices:
                yield self._standing(trial, index, store.run(run_folder(folder, trial, index)))
        store.keep()

    def _standing(self, trial: TrialRecord, index: int, run: RunRecord) -> Standing:
        steps, scheduled = trial.asked.steps, schedule_name(trial, run)
        loss_name = next((name for name in ("valid", "train") if f"{name}/loss" in run.final), None)
        state = run_status(trial, index, run).shown
        launch = trial.launches.get(index, LaunchRecord())
        name = trial.system or f"trial {trial.number}"
        if trial.kind == "tuning":
            name += f" (tuning {trial.number})"
        return Standing(
            trial=trial.number,
            seed_index=index,
            name=name,
            schedule=sampled_text(scheduled, trial.asked.params) if trial.asked.params else scheduled,
            state=state,
            step=run.step,
            steps=steps,
            loss=run.final.get(f"{loss_name}/loss"),
            eta=self._eta(run, steps) if state == "running" else None,
            reason=run.reason or launch.reason or (trial.rejected.reason if trial.rejected else None),
            reused_from=reused_from(trial, index),
            launches=launch.launches,
            lines=launch.lines,
            loss_name=loss_name,
            evaluating=_fine_tuning(run) if state == "evaluating" else None,
            flops=trial.asked.forecast.get("forecast/total_flops"),
        )

    def _eta(self, run: RunRecord, steps: int | None) -> float | None:
        begun = run.resumed_from[-1] if run.resumed_from else 0
        done, spent = run.step - begun, self._clock() - (run.started.time if run.started else 0.0)
        return None if not steps or done <= 0 or spent <= 0 else spent * (steps - run.step) / done


def status_facts(reader: Reader, standings: list[Standing], holder: Holder | None) -> dict[str, Any]:
    """Returns the status of a study as JSON values; `holder` is the coordinator that runs it now."""
    record = reader.record
    return {
        "study": record.name or None,
        "state": state_of_study(reader, holder),
        "coordinator": None if holder is None else asdict(holder),
        "storage_away": record.storage_away,
        "counts": dict(Counter(run.state for run in standings)),
        "progress": asdict(reader.whole(standings)),
        "failed_trials": reader.failed,
        "runs": [{name: getattr(run, name) for name in _SHOWN} for run in standings],
    }


def state_of_study(reader: Reader, holder: Holder | None) -> str:
    """Returns `running`, `complete`, or a text that the study stopped and how to continue it."""
    if holder is not None:
        return "running"
    return "complete" if reader.record.completed else "stopped; the same `run` command goes on"
