"""Systems side by side at equal budget: one row a system, then one a sampled trial, best first, each against the
reference.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import TrialRecord
from pld_search.report import recorded_experiments
from pld_search.report.run_rows import schedule_name
from pld_search.report.study_summary import Summary, summary, unigram_entropy
from pld_search.specs.experiment import Experiment
from pld_search.specs.metrics import is_downstream
from pld_search.specs.pretraining import MLM
from pld_search.statistics.spread import Difference, Pooled, Spread, difference, paired_p, pooled

# executed FLOPs agree with the reference's when they lie this many standard deviations of sampling apart, or less
SIGMAS = 4.0
COMPARED = ("valid/loss", "test/loss")


@dataclass(frozen=True, slots=True)
class Cost:
    """Executed TFLOP of a row (mean over seeds) and its ratio to the reference's; `tolerance` bounds |ratio - 1| by
    sampling error.
    """

    tflop: float
    ratio: float | None = None
    tolerance: float | None = None

    @property
    def equal(self) -> bool | None:
        """Whether the executed FLOPs agree with the reference's within sampling error; None where there is nothing to
        compare.
        """
        return None if self.ratio is None or self.tolerance is None else abs(self.ratio - 1) <= self.tolerance


@dataclass(slots=True)
class SystemRow:
    """One row of the comparison. Metrics are over the runs that finished (of one `confirmed`: those that confirm).

    A diverged or unfinished run is counted in `states`.
    """

    label: str
    kind: str
    trial: int
    system: str | None
    schedule: str
    model: str
    layers: int | None
    steps: int | None
    tuning_trials: int
    states: dict[str, int]
    params: dict[str, Any]
    is_reference: bool = False
    feasible: bool = True
    confirmed: bool = False
    metrics: dict[str, Spread] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    below_unigram: float | None = None
    cost: Cost | None = None
    experiment: Experiment | None = None
    runs: dict[int, RunRecord] = field(default_factory=dict)

    @property
    def objective(self) -> str:
        """What the row learns, as the key `pretraining` names it."""
        pretraining = None if self.experiment is None else self.experiment.pretraining
        return MLM if pretraining is None else pretraining.kind

    @property
    def finished(self) -> int:
        return self.states.get("finished", 0)

    @property
    def planned(self) -> int:
        return sum(self.states.values())

    def mean(self, name: str) -> float | None:
        """The mean of a metric over the finished seeds; None where none measured it."""
        return self.metrics[name].mean if name in self.metrics else None

    @property
    def diverged(self) -> int:
        return self.states.get("diverged", 0)


def comparison(view: StudyView) -> list[SystemRow]:
    """The rows in the order a reader wants: systems as the study names them, then sampled trials by the objective."""
    about = summary(view)
    table = [_row(view, trial, label, about) for trial, label in _chosen(view, about)]
    spreads = {
        name: pooled(row.metrics[name] for row in table if name in row.metrics)
        for name in {n for row in table for n in row.metrics}
    }
    reference = next((row for row in table if row.is_reference), None)
    for row in table:
        row.cost = _cost(row, reference)
        if reference is not None and row is not reference:
            if row.confirmed != reference.confirmed:
                continue  # fresh seeds are never set against those of the search
            shared = [name for name in row.metrics if name in reference.metrics and compared(name)]
            if row.objective != reference.objective:  # losses of different objectives are never compared
                shared = [name for name in shared if is_downstream(name)]
            row.differences = {name: _difference(name, row, reference, spreads[name]) for name in shared}
    return table


def _difference(name: str, row: SystemRow, reference: SystemRow, spread: Pooled | None) -> Difference:
    """The difference of the means; of rows that were confirmed with the paired test over their common seeds."""
    found = difference(row.metrics[name], reference.metrics[name], spread)
    if not row.confirmed:
        return found
    pairs = [
        (run.final[name], other.final[name])
        for run, other in _common(row, reference)
        if name in run.final and name in other.final
    ]
    return replace(found, paired=paired_p(pairs))


def _common(row: SystemRow, reference: SystemRow) -> list[tuple[RunRecord, RunRecord]]:
    """Finished runs of equal seed, which share initialisation and data order."""
    found = [(run, reference.runs[index]) for index, run in row.runs.items() if index in reference.runs]
    return [(run, other) for run, other in found if run.state == other.state == "finished"]


def compared(name: str) -> bool:
    """Whether differences are stated for a metric: the losses and every downstream score."""
    return name in COMPARED or is_downstream(name)


def comparable(table: Sequence[SystemRow], name: str) -> list[SystemRow]:
    """The rows that a metric compares: all of them for downstream scores; for losses those that learn what the
    reference learns (without a reference, the first row).
    """
    if is_downstream(name) or not table:
        return list(table)
    leader = next((row for row in table if row.is_reference), table[0])
    return [row for row in table if row.objective == leader.objective]


def downstream(table: Sequence[SystemRow]) -> list[str]:
    """The downstream metric names of a table, averages last within their suite."""
    names = {name for row in table for name in row.metrics if is_downstream(name)}
    return sorted(names, key=lambda name: (name.split("/")[0], name.endswith("/average"), name))


def _chosen(view: StudyView, about: Summary) -> list[tuple[TrialRecord, str]]:
    trials = sorted(view.study.trials.values(), key=lambda trial: trial.number)
    names = list(dict.fromkeys([*about.systems, *(trial.system for trial in trials if trial.system is not None)]))
    chosen: list[tuple[TrialRecord, str]] = []
    for name in names:
        own = [trial for trial in trials if trial.system == name]
        choice = view.study.chosen.get(name)
        final = [trial for trial in own if choice is not None and trial.number == choice.trial]
        chosen += [
            (trial, name) for trial in (final or sorted(own, key=lambda trial: _standing(view, trial, about)))[:1]
        ]
    sampled = [trial for trial in trials if trial.system is None]
    return chosen + [
        (trial, f"trial {trial.number}") for trial in sorted(sampled, key=lambda trial: _standing(view, trial, about))
    ]


def _standing(view: StudyView, trial: TrialRecord, about: Summary) -> tuple[int, float, int]:
    """Sort key: feasible and told first, then by the objective, then by number; a rejected trial is last."""
    values = list(trial.told.values or ()) if trial.told else []
    if trial.rejected is not None or trial.pruned or trial.failed:
        return 3, 0.0, trial.number
    if values:
        return int(trial.violated), about.objectives.first.sign * values[0], trial.number
    means = [
        run.final[about.objective]
        for index in trial.seeds
        if about.objective in (run := view.runs[trial.number, index]).final and run.state == "finished"
    ]
    if not means:
        return 2, 0.0, trial.number
    mean = Spread.of(means).mean
    return 0, about.objectives.first.sign * mean, trial.number


def _row(view: StudyView, trial: TrialRecord, label: str, about: Summary) -> SystemRow:
    confirmed = any(view.runs[trial.number, index].state == "finished" for index in trial.confirming)
    runs = {index: view.runs[trial.number, index] for index in (trial.confirming if confirmed else trial.seeds)}
    first = next((run for run in runs.values() if run.started), next(iter(runs.values()), RunRecord()))
    experiment = recorded_experiments.experiment_of(trial, first)
    row = SystemRow(
        label=label,
        kind=trial.kind,
        trial=trial.number,
        system=trial.system,
        schedule=schedule_name(trial, first),
        model=recorded_experiments.model_text(experiment) if experiment else "",
        layers=experiment.model.layers if experiment else None,
        steps=trial.asked.steps,
        tuning_trials=sum(other.kind == "tuning" and other.system == label for other in view.study.trials.values()),
        states=dict(Counter(run_status(trial, index, run).state for index, run in runs.items())),
        params=dict(trial.asked.params),
        feasible=trial.rejected is None and not trial.violated,
        is_reference=trial.system is not None and trial.system == about.reference,
        confirmed=confirmed,
        metrics=_metrics(runs.values()),
        experiment=experiment,
        runs=runs,
    )
    entropy = unigram_entropy(view, first)
    if entropy is not None and "valid/loss" in row.metrics and row.objective == MLM:
        row.below_unigram = entropy - row.metrics["valid/loss"].mean
    return row


def _metrics(runs: Any) -> dict[str, Spread]:
    finished = [run.final for run in runs if run.state == "finished"]
    names = sorted({name for final in finished for name in final})
    return {name: Spread.of([final[name] for final in finished if name in final]) for name in names}


def _cost(row: SystemRow, reference: SystemRow | None) -> Cost | None:
    own = row.metrics.get("progress/tflop")
    if own is None:
        return None
    theirs = reference.metrics.get("progress/tflop") if reference is not None else None
    if (
        theirs is None
        or reference is None
        or row.experiment is None
        or reference.experiment is None
        or theirs.mean <= 0
    ):
        return Cost(own.mean)
    sigma = math.hypot(
        recorded_experiments.executed_sigma(row.experiment) / math.sqrt(own.n),
        recorded_experiments.executed_sigma(reference.experiment) / math.sqrt(theirs.n),
    )
    grain = max(recorded_experiments.full_step(row.experiment), recorded_experiments.full_step(reference.experiment))
    return Cost(own.mean, own.mean / theirs.mean, (SIGMAS * sigma + grain) / theirs.mean)
