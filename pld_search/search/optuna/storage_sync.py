"""An Optuna study as its storage holds it: written trial by trial, in as few transactions as there are moments worth
keeping.

A trial arrives with all its parameters at once, and later its end; nothing is read back, for there is one writer. Only
after a storage was away is it read again, since nobody knows what of the last write it had taken.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from pld_search.errors import StudyError
from pld_search.search.optuna.storage import StorageAway, reached


class Stored:
    """The storage's side of one study, kept equal to the trials of a coordinator's own copy of it."""

    def __init__(self, study: optuna.Study) -> None:
        self._storage, self._name = study._storage, study.study_name
        self._study_id = self._storage.get_study_id_from_name(study.study_name)
        self._ids: dict[int, int] = {}
        self._open: dict[int, dict[str, Any]] = {}  # number -> the parameters it has, of trials that have not ended
        self._known = False

    def read(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        trials = sorted(self._storage.get_all_trials(self._study_id, deepcopy=False), key=lambda trial: trial.number)
        self._ids = {trial.number: trial._trial_id for trial in trials}
        self._open = {trial.number: dict(trial.params) for trial in trials if not trial.state.is_finished()}
        self._known = True
        return trials

    def bring(self, trial: FrozenTrial) -> None:
        """Make the storage hold a trial as it is: its parameters, and its end once it has one. Numbers come in order.
        Raises StorageAway.
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
        """Optuna's own notes on a question (system attributes) are of use only while it is asked."""
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
        """Parameters that a trial which was put in for its number alone lacks, then how it ended; the state
        comes last.
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
            f"the Optuna study '{self._name}' is used by someone else: its trial {number} is another than "
            "the one that was due"
        )
