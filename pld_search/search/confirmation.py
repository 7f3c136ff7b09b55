"""Confirmation: when the search is over, fresh seeds for what won, so that the winner's luck is not reported as its
skill.
"""

from __future__ import annotations

from pld_search.records.study_events import TrialConfirming
from pld_search.records.trial_record import CONFIRMATION, TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.objectives import dominators
from pld_search.spaces.study import Study


class Confirmer:
    """Asks for the fresh runs of every system's row and of the best sampled configurations; nothing where the study has
    no `confirm`.
    """

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._confirm = ledger, study.confirm
        self._objectives = study.objectives

    def begin(self) -> bool:
        """Record which runs confirm, once every system has its row and every trial its end; False where none is new."""
        if self._confirm is None:
            return False
        seeds = list(range(CONFIRMATION, CONFIRMATION + self._confirm.seeds))
        new = [trial for trial in (*self._rows(), *self._best()) if len(trial.confirming) < len(seeds)]
        for trial in new:
            self._ledger.write(TrialConfirming(trial=trial.number, seeds=seeds))
        return bool(new)

    def _rows(self) -> list[TrialRecord]:
        trials = [self._ledger.study.trials[chosen.trial] for chosen in self._ledger.study.chosen.values()]
        return [trial for trial in trials if trial.feasible]

    def _best(self) -> list[TrialRecord]:
        """The `top` feasible sampled trials as they were recommended; without a recommendation those that the fewest
        others dominate, then by the first objective.
        """
        assert self._confirm is not None
        trials, recommended = self._ledger.study.trials, self._ledger.study.recommended
        if recommended is not None:
            return [trials[number] for number in recommended.ranking[: self._confirm.top]]
        values = {
            trial.number: self._objectives.signed(trial.told.values or ())
            for trial in sampled_for(self._ledger, None)
            if trial.told is not None and trial.feasible
        }
        ranked = sorted(
            values, key=lambda number: (dominators(values[number], list(values.values())), values[number], number)
        )
        return [trials[number] for number in ranked[: self._confirm.top]]
