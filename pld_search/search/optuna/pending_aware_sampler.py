"""A sampler that learns from trials that wait at a rung. Optuna's samplers ignore RUNNING trials, and with promotion
most trials are RUNNING.

The sampler is asked on a copy of the study in memory, in which each waiting trial is PRUNED with its values by rung;
the study itself keeps them RUNNING. Without waiting trials the sampler sees the study itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState


class _ShownTrial(FrozenTrial):
    """A trial of the copy. It is only read, so a storage's copies may share its contents: deep copies of all trials for
    every question would take most of the question's time.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        return copy.copy(self)


class Informed(optuna.samplers.BaseSampler):
    """Shows to `sampler` the trials of `waiting` (number -> value by step) as ended at their last rung, and the trials
    `observed` in addition.
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        waiting: Mapping[int, Mapping[int, float]],
        observed: Sequence[FrozenTrial] = (),
    ) -> None:
        self._observed = observed
        self._sampler, self._waiting = sampler, {number: values for number, values in waiting.items() if values}
        self._view: optuna.Study | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the answer of `sampler`, given the completed view of the study."""
        return self._sampler.infer_relative_search_space(self._seen(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the answer of `sampler`, given the completed view of the study."""
        return self._sampler.sample_relative(self._seen(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns the answer of `sampler`, given the completed view of the study."""
        return self._sampler.sample_independent(self._seen(study), trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Lets `sampler` prepare itself; it needs no view for that."""
        self._sampler.before_trial(study, trial)

    def _seen(self, study: optuna.Study) -> optuna.Study:
        if not self._waiting and not self._observed:
            return study
        if self._view is None:
            self._view = optuna.create_study(
                study_name=study.study_name, directions=study.directions, pruner=study.pruner
            )
            self._view.add_trials(self._shown(trial) for trial in study.get_trials(deepcopy=False))
            self._view.add_trials(self._observed)
        return self._view

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        shown = _ShownTrial.__new__(_ShownTrial)
        shown.__dict__.update(trial.__dict__)
        values = self._waiting.get(trial.number)
        if values is not None and trial.state == TrialState.RUNNING:
            shown.state, shown.intermediate_values, shown.datetime_complete = (
                TrialState.PRUNED,
                dict(values),
                trial.datetime_start,
            )
        return shown
