"""A sampler that learns from trials that wait at a rung. Optuna's samplers ignore RUNNING trials, and with promotion
most trials are RUNNING.

The sampler is asked on a copy of the study in memory, in which each waiting trial is PRUNED with its values by rung;
the study itself keeps them RUNNING. Without waiting trials the sampler sees the study itself.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState


class _ShownTrials(InMemoryStorage):
    """The trials of a view, which are only read. Adding each trial to a new study, for every question, would take most
    of the question's time.
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._shown = list(trials)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Returns the shown trials of these states."""
        del study_id  # the storage has one study
        found = [trial for trial in self._shown if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Does nothing: a sampler's notes on its question are read only while it is asked."""


class EndedTrial(FrozenTrial):
    """An ended trial with its constraints and its space computed once; Optuna's samplers read both of every trial for
    every question.
    """

    constraints: dict[str, float] = {}
    space: Any = None
    """Equal for trials of the same state whose parameters have the same names and distributions."""

    @classmethod
    def of(cls, trial: FrozenTrial) -> EndedTrial:
        """Returns the same trial, which never changes again."""
        found = copy.copy(trial)
        found.__class__ = cls
        assert isinstance(found, EndedTrial)
        found.constraints, found.space = trial.constraints, (trial.state, frozenset(trial.distributions.items()))
        return found


class Informed(optuna.samplers.BaseSampler):
    """Shows to `sampler` the trials of `waiting` (number -> value by step) as ended at their last rung, and the trials
    `observed` in addition.

    `ended` keeps the ended trials from one question to the next, by number.
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        waiting: Mapping[int, Mapping[int, float]],
        observed: Sequence[FrozenTrial] = (),
        ended: dict[int, EndedTrial] | None = None,
    ) -> None:
        self._observed, self._ended = observed, {} if ended is None else ended
        self._sampler, self._waiting = sampler, {number: values for number, values in waiting.items() if values}
        self._view: optuna.Study | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the answer of `sampler`, given the completed view of the study, without trials of a space that an
        earlier trial has: samplers intersect or split the spaces, and the same space again changes nothing.
        """
        seen = self._seen(study)
        if seen is not study:
            first: dict[Any, FrozenTrial] = {}
            for each in seen.get_trials(deepcopy=False):
                first.setdefault(each.space if isinstance(each, EndedTrial) else each.number, each)
            seen = self._viewed(study, list(first.values()))
        return self._sampler.infer_relative_search_space(seen, trial)

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
            known = self._ended
            trials = [known.get(trial.number) or self._shown(trial) for trial in study.get_trials(deepcopy=False)]
            trials += [_numbered(trial, number) for number, trial in enumerate(self._observed, start=len(trials))]
            self._view = self._viewed(study, trials)
        return self._view

    def _viewed(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> optuna.Study:
        return optuna.create_study(
            study_name=study.study_name,
            storage=_ShownTrials(trials),
            directions=study.directions,
            pruner=study.pruner,
        )

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        if trial.state.is_finished():
            ended = self._ended[trial.number] = EndedTrial.of(trial)
            return ended
        values = self._waiting.get(trial.number)
        if values is None or trial.state != TrialState.RUNNING:
            return trial
        shown = copy.copy(trial)
        shown.state, shown.intermediate_values = TrialState.PRUNED, dict(values)
        shown.datetime_complete = trial.datetime_start
        return shown


def _numbered(trial: FrozenTrial, number: int) -> FrozenTrial:
    found = copy.copy(trial)
    found.number = found._trial_id = number
    return EndedTrial.of(found) if found.state.is_finished() else found
