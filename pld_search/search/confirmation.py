"""Confirmation: when the search is over, fresh seeds for what won, so that the winner's luck is not reported as its
skill.
"""

from __future__ import annotations

from pld_search.records.study_events import TrialConfirming
from pld_search.records.trial_record import CONFIRMATION, TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.search.successive_halving import dominators
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.study import Study


class Confirmer:
    """Asks for the fresh runs of every system's row and of the best sampled configurations; nothing where the study has
    no `confirm`.
    """

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._confirm = ledger, study.confirm
        self._signs = [1 if goal.direction == "minimize" else -1 for goal in study.objectives]

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
        return [trial for trial in trials if _sound(trial)]

    def _best(self) -> list[TrialRecord]:
        """The `top` feasible sampled trials: of several objectives those that the fewest others dominate, then by the
        first.
        """
        assert self._confirm is not None
        values = {trial.number: self._signed(trial) for trial in sampled_for(self._ledger, None) if _sound(trial)}
        ranked = sorted(
            values, key=lambda number: (dominators(values[number], list(values.values())), values[number], number)
        )
        return [self._ledger.study.trials[number] for number in ranked[: self._confirm.top]]

    def _signed(self, trial: TrialRecord) -> list[float]:
        assert trial.told is not None and trial.told.values is not None
        return [sign * value for sign, value in zip(self._signs, trial.told.values, strict=True)]


def _sound(trial: TrialRecord) -> bool:
    """Whether it reached its end and violated nothing."""
    return trial.complete and trial.feasible
