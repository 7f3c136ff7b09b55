"""Compares systems at equal budget: one row for each system, then one for each sampled trial, best first, each with its
difference to the reference.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_events import SystemTuned
from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import TrialRecord
from pld_search.records.winner import row_of
from pld_search.report import recorded_experiments
from pld_search.report.fine_tuning_noise import fine_tuning_noise
from pld_search.report.judged import Judged, Noise, alone, architecture, decided_at, judge
from pld_search.report.judged_frontier import DepthPoint, Frontier, frontier
from pld_search.report.run_rows import schedule_name
from pld_search.report.stated_margin import StatedMargin, in_nats, margin_of
from pld_search.report.study_summary import Summary, summary, unigram_entropy
from pld_search.report.text_noise import text_noise
from pld_search.spaces.decide import Decide
from pld_search.specs.experiment import Experiment
from pld_search.specs.metrics import is_downstream
from pld_search.specs.pretraining import MLM
from pld_search.statistics.blocked import fit
from pld_search.statistics.selection import Shrunken, shrunken
from pld_search.statistics.spread import Spread
from pld_search.statistics.verdict import Verdict

# executed FLOPs agree with the reference's when they differ by at most this many standard deviations of sampling
SIGMAS = 4.0
COMPARED = ("valid/loss", "test/loss")
EXPLORATORY = "exploratory"
NOTHING_SAVED = 1e-9
_LOST = ("diverged", "failed", "pruned", "rejected")
"""States of a run that is lost to its row; only the surviving runs are left."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Executed TFLOP of a row (mean over seeds) and its ratio to the reference's; `tolerance` bounds the sampling error
    of |ratio - 1|.
    """

    tflop: float
    ratio: float | None = None
    tolerance: float | None = None

    @property
    def equal(self) -> bool | None:
        """Whether the executed FLOPs agree with the reference's within sampling error; None without a ratio."""
        return None if self.ratio is None or self.tolerance is None else abs(self.ratio - 1) <= self.tolerance


@dataclass(slots=True)
class SystemRow:
    """One row of the comparison. Metrics are over the finished runs (for a `confirmed` row: over its confirming runs).

    When a run was lost, losses and scores of the row's other runs are left out: the surviving runs are a biased sample.
    differences: to the reference. no_verdict: why the row has no verdict (`exploratory`, `3 of 5 finished`), empty when
    it may have one. shrunken: an exploratory row's expected first objective, given the number of trials it was selected
    from. tuned: the learning rate that a grid chose (the grid's runs are not part of the row). budget_share: the row's
    share of the budget. model: its shape, and the options that the rows do not all share. The reference also has
    `margin`, a margin stated in compute, converted to nats, and `frontier`, the best dropped row against the best full
    row.
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
    differences: dict[str, Judged] = field(default_factory=dict)
    no_verdict: str = ""
    shrunken: Shrunken | None = None
    tuned: SystemTuned | None = None
    budget_share: float = 1.0
    frontier: Frontier | None = None
    margin: StatedMargin | None = None
    below_unigram: float | None = None
    cost: Cost | None = None
    experiment: Experiment | None = None
    runs: dict[int, RunRecord] = field(default_factory=dict)

    def __repr__(self) -> str:
        """The row in one line, without the details of its runs."""
        losses = "".join(f", {name} {self.metrics[name].mean:.4g}" for name in COMPARED if name in self.metrics)
        return f"<row {self.label}: {self.finished} of {self.planned} runs finished{losses}>"

    @property
    def objective(self) -> str:
        """The row's pre-training objective, by its name in the key `pretraining`."""
        pretraining = None if self.experiment is None else self.experiment.pretraining
        return MLM if pretraining is None else pretraining.kind

    @property
    def finished(self) -> int:
        """Number of finished runs."""
        return self.states.get("finished", 0)

    @property
    def planned(self) -> int:
        """Number of runs in any state."""
        return sum(self.states.values())

    def mean(self, name: str) -> float | None:
        """Returns the mean of a metric over the finished seeds; None when no run measured it."""
        return self.metrics[name].mean if name in self.metrics else None

    @property
    def diverged(self) -> int:
        """Number of diverged runs."""
        return self.states.get("diverged", 0)


def comparison(view: StudyView, *, leading: bool = False, judged: bool = True) -> list[SystemRow]:
    """Returns the rows: systems in the order of the study, then sampled trials by the objective.

    With `leading`, the winner is the only sampled trial with a row: for thousands of trials this takes a tenth of the
    time. Its row is the same, apart from the options that `model` leaves out. Without `judged` the rows have no
    differences, no `shrunken` and no `frontier`.
    """
    about = summary(view)
    tuned = Counter(trial.system for trial in view.study.trials.values() if trial.kind == "tuning")
    chosen = _chosen(view, about)
    shown = [(trial, label) for trial, label in chosen if not leading or trial.system is not None or _won(trial, about)]
    table = [_row(view, trial, label, about, tuned[label]) for trial, label in shown]
    reference = next((row for row in table if row.is_reference), None)
    shared = recorded_experiments.shared_options([row.experiment for row in table if row.experiment is not None])
    for row in table:
        row.model = "" if row.experiment is None else recorded_experiments.model_text(row.experiment, shared)
        row.cost = _cost(row, reference)
        row.no_verdict = _no_verdict(row, reference, about)
    if judged and reference is not None:
        _judge(table, reference, about)
    if judged:
        _shrink(view, table, reference, about, [trial for trial, _ in chosen if trial.system is None])
    return table


def _won(trial: TrialRecord, about: Summary) -> bool:
    return about.winner is not None and trial.number == about.winner.trial


def _no_verdict(row: SystemRow, reference: SystemRow | None, about: Summary) -> str:
    """Returns why a row has no verdict; empty for a judged row and for a reference against which rows can be judged."""
    if row.finished < row.planned:
        return f"{row.finished} of {row.planned} finished"
    if _selected(row, about):
        return EXPLORATORY
    if row.budget_share != 1:
        return f"at {100 * row.budget_share:g} % of the budget"
    if reference is None or row is reference:
        return ""
    if row.confirmed != reference.confirmed:
        return "not confirmed" if reference.confirmed else f"{reference.label} is not confirmed"
    if row not in comparable([reference, row], str(about.decide.primary)):
        return f"learns {row.objective}"
    of_reference = _no_verdict(reference, None, about)
    return f"{reference.label}: {of_reference}" if of_reference else ""


def _selected(row: SystemRow, about: Summary) -> bool:
    """Whether a row's own runs selected it, so that it was not fixed before they ran."""
    if row.system is None:
        return not (row.confirmed and about.winner is not None and row.trial == about.winner.trial)
    return row.kind == "tuning" and row.tuning_trials > 1 and not row.confirmed


def _judge(table: Sequence[SystemRow], reference: SystemRow, about: Summary) -> None:
    """Fills in the differences: the judged rows together, every other row by its own pairs."""
    primary, others = str(about.decide.primary), [row for row in table if row is not reference]
    reference.margin = _margin(table, reference, about)
    decide = in_nats(about.decide, reference.margin)
    family = [row for row in (reference, *others) if not row.no_verdict]
    architectures = {row.label: architecture(row.experiment) for row in table}
    for name in sorted({name for row in table for name in row.metrics if compared(name)}):
        # never compares losses of different objectives, nor fresh seeds with seeds of the search
        alike = [row for row in comparable(table, name) if row.confirmed == reference.confirmed]
        values = {row.label: _values(row, name) for row in alike}
        together = {row.label: values[row.label] for row in family if row.label in values}
        finished = {row.label: _finished(row, name) for row in alike}
        noise = Noise(text_noise(finished, reference.label, name), fine_tuning_noise(finished, reference.label, name))
        found = judge(
            together,
            reference.label,
            name,
            decide,
            architectures,
            verdicts=name == primary,
            noise=noise,
            looks=about.looks,
        )
        for row in others:
            own = found.get(row.label)
            if own is None and row.label in values:
                own = alone(values, row.label, reference.label, decide, noise)
            if own is not None and own.verdict is not None and row.label in about.looked:
                own = decided_at(own, *about.looked[row.label], decide)
            if own is not None:
                row.differences[name] = own
    reference.frontier = _frontier(family, primary, decide, architectures)
    _judge_contrast(table, reference, about, architectures)


def _frontier(
    family: Sequence[SystemRow], primary: str, decide: Decide, architectures: dict[str, str]
) -> Frontier | None:
    """Returns the frontier over the judged rows at equal FLOPs, without growing stacks."""
    rows = [
        row
        for row in family
        if row.layers is not None and primary in row.metrics and (row.is_reference or (row.cost and row.cost.equal))
    ]
    rows = [row for row in rows if row.experiment is not None and row.experiment.growth is None]
    points = [
        DepthPoint(
            row.label, row.layers or 0, (row.mean("saved/block_flops") or 0.0) > NOTHING_SAVED, row.metrics[primary]
        )
        for row in rows
    ]
    return frontier(points, {row.label: _values(row, primary) for row in rows}, architectures, decide)


def _margin(table: Sequence[SystemRow], reference: SystemRow, about: Summary) -> StatedMargin | None:
    """Converts the study's margin in compute to nats of its primary metric; None when it states no such margin."""
    share, primary = about.decide.margin_share, str(about.decide.primary)
    if share is None:
        return None
    spent = reference.cost.tflop if reference.cost is not None else None
    others = {
        row.cost.tflop / spent: _values(row, primary)
        for row in table
        if row.budget_share != 1 and spent and row.cost is not None and _same_but_budget(row, reference)
    }
    return margin_of(share, others, _values(reference, primary), _finished(reference, primary))


def _same_but_budget(row: SystemRow, reference: SystemRow) -> bool:
    """Whether a row is the reference at another budget; it may have its own learning rate, tuned for that budget."""
    if row.experiment is None or reference.experiment is None:
        return False
    own, theirs = (
        each.model_dump(mode="json", exclude={"steps": True, "seed": True, "optimizer": {"lr"}, "schedule": {"run"}})
        for each in (row.experiment, reference.experiment)
    )
    return own == theirs


def _judge_contrast(
    table: Sequence[SystemRow], reference: SystemRow, about: Summary, architectures: dict[str, str]
) -> None:
    """Judges the contrast's further metrics, which were fixed before the fresh seeds ran. Stops at the first undecided
    metric.
    """
    row = next((row for row in table if about.winner is not None and row.trial == about.winner.trial), None)
    if about.contrast is None or row is None or row is reference or row.no_verdict or not row.confirmed:
        return
    before = row.differences.get(str(about.decide.primary))
    for name in about.contrast.metrics[1:]:
        if before is None or before.verdict in (None, Verdict.UNDECIDED):
            return
        family = [each for each in table if each.confirmed and not each.no_verdict]
        values = {each.label: _values(each, name) for each in family}
        unmargined = about.decide.model_copy(update={"margin": None})
        finished = {each.label: _finished(each, name) for each in family}
        noise = Noise(fine_tuning=fine_tuning_noise(finished, reference.label, name))
        judged = judge(values, reference.label, name, unmargined, architectures, verdicts=True, noise=noise)
        before = judged.get(row.label)
        if before is not None:
            row.differences[name] = before


def _values(row: SystemRow, name: str) -> dict[int, float]:
    """Returns the value of each finished run by seed index; empty when the metric is not shown (lost runs)."""
    return {index: run.final[name] for index, run in _finished(row, name).items()}


def _finished(row: SystemRow, name: str) -> dict[int, RunRecord]:
    """Returns the finished runs that have a metric, by seed index; empty when the metric is not shown (lost runs)."""
    if name not in row.metrics:
        return {}
    return {index: run for index, run in row.runs.items() if run.state == "finished" and name in run.final}


def _shrink(
    view: StudyView,
    table: Sequence[SystemRow],
    reference: SystemRow | None,
    about: Summary,
    trials: Sequence[TrialRecord],
) -> None:
    """Sets the expected first objective of exploratory rows, given the trials they were selected from; `trials` are all
    sampled ones.
    """
    name = about.objective
    noise = _residual_sd(table, reference, name)
    if noise is None or not compared(name):
        return
    chosen = [row for row in table if row.no_verdict == EXPLORATORY and name in row.metrics]
    sampled = _sampled_means(view, trials, about) if any(row.system is None for row in chosen) else []
    for system, rows in groupby(chosen, key=lambda row: row.system):
        same = list(rows)
        means = sampled if system is None else [each.mean for each in _tuning(view, same[0], name)]
        if len(means) > 1:
            _shrink_among(same, means, name, noise)


def _sampled_means(view: StudyView, trials: Sequence[TrialRecord], about: Summary) -> list[float]:
    """Returns the mean first objective of each exploratory trial: all its runs finished, and it is not the confirmed
    winner.
    """
    means = []
    for trial in trials:
        confirmed, runs = _runs(view, trial)
        if (confirmed and _won(trial, about)) or _states(trial, runs).keys() - {"finished"}:
            continue
        values = [run.final[about.objective] for run in runs.values() if about.objective in run.final]
        means += [Spread.of(values).mean] if values else []
    return means


def _shrink_among(rows: Sequence[SystemRow], means: Sequence[float], name: str, noise: float) -> None:
    """Sets `shrunken` of rows that were selected from trials with these means; `noise` is the deviation of one run."""
    found: dict[int, dict[float, Shrunken]] = {}
    for row in rows:
        seeds = row.metrics[name].n
        if seeds not in found:
            found[seeds] = dict(zip(means, shrunken(means, noise / math.sqrt(seeds)), strict=True))
        row.shrunken = found[seeds].get(row.metrics[name].mean)


def _tuning(view: StudyView, row: SystemRow, name: str) -> list[Spread]:
    """Returns the metric of every trial from which a tuned row was selected."""
    trials = [trial for trial in view.study.trials.values() if trial.kind == "tuning" and trial.system == row.system]
    runs = ({index: view.runs[trial.number, index] for index in trial.seeds} for trial in trials)
    return [metrics[name] for metrics in (_metrics(list(each.values())) for each in runs) if name in metrics]


def _residual_sd(table: Sequence[SystemRow], reference: SystemRow | None, name: str) -> float | None:
    """Returns the deviation of a run without its seed's effect, over rows of the reference's architecture; None if
    unknown.
    """
    if reference is None:
        return None
    like = architecture(reference.experiment)
    alike = [row for row in table if row.system is not None and architecture(row.experiment) == like]
    shared = set(_values(reference, name))
    values = {row.label: found for row in alike if set(found := _values(row, name)) & shared}
    if reference.label not in values or len(values) < 2:
        return None
    residual = fit(values, list(values), reference.label).residual
    return None if residual is None else math.sqrt(residual.value)


def compared(name: str) -> bool:
    """Whether differences are stated for a metric: for the losses and for every downstream score."""
    return name in COMPARED or is_downstream(name)


def comparable(table: Sequence[SystemRow], name: str) -> list[SystemRow]:
    """Returns the rows that a metric compares: all rows for downstream scores; for losses the rows with the reference's
    objective (without a reference, the first row's).
    """
    if is_downstream(name) or not table:
        return list(table)
    leader = next((row for row in table if row.is_reference), table[0])
    return [row for row in table if row.objective == leader.objective]


def downstream(table: Sequence[SystemRow]) -> list[str]:
    """Returns the downstream metric names of a table; averages come last within their suite."""
    names = {name for row in table for name in row.metrics if is_downstream(name)}
    return sorted(names, key=lambda name: (name.split("/")[0], name.endswith("/average"), name))


def _chosen(view: StudyView, about: Summary) -> list[tuple[TrialRecord, str]]:
    trials = sorted(view.study.trials.values(), key=lambda trial: trial.number)
    names = list(dict.fromkeys([*about.systems, *(trial.system for trial in trials if trial.system is not None)]))
    chosen: list[tuple[TrialRecord, str]] = []
    for name in names:
        row = row_of(view.study, name)
        own = [trial for trial in trials if trial.system == name] if row is None else [row]
        chosen += [(trial, name) for trial in sorted(own, key=lambda trial: _order_of(view, trial, about))[:1]]
    sampled = [trial for trial in trials if trial.system is None]
    return chosen + [
        (trial, f"trial {trial.number}") for trial in sorted(sampled, key=lambda trial: _order_of(view, trial, about))
    ]


def _order_of(view: StudyView, trial: TrialRecord, about: Summary) -> tuple[int, float, int]:
    """Returns the sort key: feasible told trials first, then by the objective, then by number; rejected trials last."""
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


def _row(view: StudyView, trial: TrialRecord, label: str, about: Summary, tuning_trials: int) -> SystemRow:
    confirmed, runs = _runs(view, trial)
    first = next((run for run in runs.values() if run.started), next(iter(runs.values()), RunRecord()))
    experiment = recorded_experiments.experiment_of(trial, first)
    states = _states(trial, runs)
    row = SystemRow(
        label=label,
        kind=trial.kind,
        trial=trial.number,
        system=trial.system,
        schedule=schedule_name(trial, first),
        model="",
        layers=experiment.model.layers if experiment else None,
        steps=trial.asked.steps,
        tuning_trials=tuning_trials,
        states=dict(states),
        params=dict(trial.asked.params),
        feasible=trial.rejected is None and not trial.violated,
        is_reference=trial.system is not None and trial.system == about.reference,
        confirmed=confirmed,
        metrics=_metrics(list(runs.values()), survivors=any(states[state] for state in _LOST)),
        experiment=experiment,
        runs=runs,
        tuned=view.study.tuned.get(label) if trial.kind == "system" else None,
        budget_share=view.study.definition.budget_share(trial.system),
    )
    entropy = unigram_entropy(view, first)
    if entropy is not None and "valid/loss" in row.metrics and row.objective == MLM:
        row.below_unigram = entropy - row.metrics["valid/loss"].mean
    return row


def _runs(view: StudyView, trial: TrialRecord) -> tuple[bool, dict[int, RunRecord]]:
    """Returns whether a confirming run of the trial has ended, and the runs that its row shows, by seed index."""
    confirmed = any(view.runs[trial.number, index].ended for index in trial.confirming)
    return confirmed, {
        index: view.runs[trial.number, index] for index in (trial.confirming if confirmed else trial.seeds)
    }


def _states(trial: TrialRecord, runs: Mapping[int, RunRecord]) -> Counter[str]:
    return Counter(run_status(trial, index, run).state for index, run in runs.items())


def _metrics(runs: Sequence[RunRecord], survivors: bool = False) -> dict[str, Spread]:
    """Returns every metric over the finished runs; with `survivors`, only metrics that are not compared."""
    finished = [run.final for run in runs if run.state == "finished"]
    names = sorted({name for final in finished for name in final if not (survivors and compared(name))})
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
