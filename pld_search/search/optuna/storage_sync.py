"""Writes an Optuna study to its storage, trial by trial and in few transactions.

A trial is written with all its parameters at once, and later with its end. Nothing is read back, because there is one
writer. The storage is read again only after it was away, since it is then unknown how much of the last write it took.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from pld_search.errors import StudyError
from pld_search.search.optuna.storage import StorageAway, reached


class Stored:
    """The stored copy of one study, kept equal to the coordinator's own copy."""

    def __init__(self, study: optuna.Study) -> None:
        self._storage, self._name = study._storage, study.study_name
        self._study_id = self._storage.get_study_id_from_name(study.study_name)
        self._ids: dict[int, int] = {}
        self._open: dict[int, dict[str, Any]] = {}  # number -> stored parameters, of trials that have not ended
        self._known = False

    def read(self) -> list[FrozenTrial]:
        """Reads every trial, ordered by number."""
        trials = sorted(self._storage.get_all_trials(self._study_id, deepcopy=False), key=lambda trial: trial.number)
        self._ids = {trial.number: trial._trial_id for trial in trials}
        self._open = {trial.number: dict(trial.params) for trial in trials if not trial.state.is_finished()}
        self._known = True
        return trials

    def bring(self, trial: FrozenTrial) -> None:
        """Makes the storage hold a trial's parameters, and its end once it has one. Numbers come in order. Raises
        StorageAway.
        """
        try:
            with reached():
                if not self._known:
                    self.read()
                if trial.number not in self._ids:
                    self._create(trial)
                if trial.number in self._open:
                    self._complete(trial)
        except StorageAway:
            self._known = False
            raise

    def _create(self, trial: FrozenTrial) -> None:
        """Creates a trial without Optuna's notes on the question (system attributes), which are needed only while it is
        asked.
        """
        open_trial = create_trial(state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions)
        made = self._storage.create_new_trial(self._study_id, open_trial)
        try:
            due = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
        except KeyError:
            due = None
        if made != due:
            raise self._shared(trial.number)
        self._ids[trial.number], self._open[trial.number] = made, dict(trial.params)

    def _complete(self, trial: FrozenTrial) -> None:
        """Writes missing parameters (a trial may have been stored for its number alone), then the trial's end; the
        state comes last.
        """
        place, known = self._ids[trial.number], self._open[trial.number]
        if not known.items() <= trial.params.items():
            raise self._shared(trial.number)
        for name, value in trial.params.items():
            if name not in known:
                distribution = trial.distributions[name]
                self._storage.set_trial_param(place, name, distribution.to_internal_repr(value), distribution)
                known[name] = value
        if not trial.state.is_finished():
            return
        for key, value in create_trial(state=TrialState.RUNNING, constraints=trial.constraints).system_attrs.items():
            self._storage.set_trial_system_attr(place, key, value)
        for step, value in trial.intermediate_values.items():
            self._storage.set_trial_intermediate_value(place, step, value)
        self._storage.set_trial_state_values(place, trial.state, trial.values)
        del self._open[trial.number]

    def _shared(self, number: int) -> StudyError:
        return StudyError(
            f"the Optuna study '{self._name}' is used by another process: its trial {number} is not the expected trial"
        )
