"""Optuna's pruners, asked on a separate study that is replayed from the records.

The records decide, so a restarted coordinator, or one whose storage is away, decides the same. Steps are the steps of
the `rung` records: powers of eta for successive halving, which counts in such steps, else the number of the rung.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Literal

import optuna
from optuna.trial import TrialState

from pld_search.records.study_events import RungReached
from pld_search.records.trial_record import TrialRecord
from pld_search.spaces.early_stopping import (
    Asha,
    Branching,
    Dominance,
    EarlyStopping,
    Hyperband,
    Median,
    Patient,
    Threshold,
)


def make_pruner(rule: EarlyStopping) -> optuna.pruners.BasePruner:
    """Makes Optuna's pruner of a rule; for a rule that this package implements, a pruner that stops nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if isinstance(rule, Asha):
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=rule.eta)
        if isinstance(rule, Hyperband):
            return _hyperband(rule)
        if isinstance(rule, Median):
            return optuna.pruners.MedianPruner(n_startup_trials=rule.startup, n_warmup_steps=0, n_min_trials=rule.least)
        if isinstance(rule, Threshold):
            return optuna.pruners.ThresholdPruner(lower=rule.lower, upper=rule.upper)
        if isinstance(rule, Patient):
            return optuna.pruners.PatientPruner(None, patience=rule.patience, min_delta=rule.min_delta)
        assert isinstance(rule, Branching | Dominance)
        return optuna.pruners.NopPruner()


def _hyperband(rule: Hyperband) -> optuna.pruners.HyperbandPruner:
    """Makes a Hyperband pruner with its brackets. Optuna makes the brackets at the pruner's first question, but
    samplers, which learn within one bracket, need them before.
    """
    pruner = optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=rule.eta ** len(rule.shares), reduction_factor=rule.eta
    )
    pruner.prune(optuna.create_study(), optuna.trial.create_trial(state=TrialState.RUNNING))
    return pruner


class Pruner:
    """Judges the trials of one Optuna study, `name` (brackets are drawn by the name). Each question is asked once and
    its answer kept.
    """

    def __init__(self, rule: EarlyStopping, name: str, direction: Literal["minimize", "maximize"]) -> None:
        self._study = optuna.create_study(
            study_name=name,
            direction=direction,
            pruner=make_pruner(rule),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self._trials: list[optuna.Trial] = []
        self._reported: dict[int, int] = {}
        self._told: set[int] = set()

    def stops(self, trial: TrialRecord, trials: Iterable[TrialRecord]) -> bool:
        """Whether `trial` is stopped at its last rung, given all `trials` so far."""
        trials = [each for each in trials if each.asked.number is not None]
        reports = [
            (rung.seq, each, rung) for each in trials for rung in each.rungs[self._reported.get(_number(each), 0) :]
        ]
        for _, other, rung in sorted(reports, key=lambda report: report[0]):
            if (other, rung) != (trial, trial.rungs[-1]):
                self._report(other, rung)
        for other in trials:
            self._tell(other)
        return self._report(trial, trial.rungs[-1])

    def _report(self, trial: TrialRecord, rung: RungReached) -> bool:
        number = _number(trial)
        while len(self._trials) <= number:
            self._trials.append(self._study.ask())
        self._reported[number] = self._reported.get(number, 0) + 1
        self._trials[number].report(rung.values[0], rung.step)
        return bool(self._trials[number].should_prune())

    def _tell(self, trial: TrialRecord) -> None:
        number, told = _number(trial), trial.told
        if told is None or number in self._told or number >= len(self._trials):
            return
        self._told.add(number)
        self._study.tell(self._trials[number], told.values, TrialState[told.state])


def _number(trial: TrialRecord) -> int:
    """Returns Optuna's number of a trial that a sampler gave."""
    assert trial.asked.number is not None
    return trial.asked.number
