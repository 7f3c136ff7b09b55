"""Confirmation: when the search is over, the winners run on fresh seeds, so that a lucky seed is not reported as a
better configuration.

The winner and the contrast are recorded before the first fresh seed runs. The fresh runs test this contrast only. They
never choose the winner anew, even when another row turns out better.
"""

from __future__ import annotations

from pld_search.records.study_events import ContrastFixed, TrialConfirming
from pld_search.records.trial_record import CONFIRMATION, TrialRecord
from pld_search.records.winner import choice, row_of
from pld_search.search.ledger import Ledger
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.decide import decision
from pld_search.spaces.objectives import dominators
from pld_search.spaces.study import Study
from pld_search.specs.metrics import is_downstream


class Confirmer:
    """Asks for the fresh runs of every system's row and of the best sampled configurations. Does nothing for a study
    without `confirm`.
    """

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._study, self._confirm = ledger, study, study.confirm
        self._objectives = study.objectives

    def begin(self) -> bool:
        """Records the contrast and the runs that confirm it, once every system has its row and every trial has ended.
        Returns False when no run is new.
        """
        if self._confirm is None:
            return False
        first = self._objectives.first
        won = choice(self._ledger.study, first.sign, is_downstream(first.metric))
        rows = {trial.number: trial for trial in (*self._rows(), *self._best(), *((won,) if won is not None else ()))}
        seeds = list(range(CONFIRMATION, CONFIRMATION + self._confirm.seeds))
        new = [trial for trial in rows.values() if len(trial.confirming) < len(seeds)]
        if won is not None and self._ledger.study.contrast is None:
            self._ledger.write(self._contrast(won))
        for trial in new:
            self._ledger.write(TrialConfirming(trial=trial.number, seeds=seeds))
        return bool(new)

    def _contrast(self, won: TrialRecord) -> ContrastFixed:
        """Compares the winner with the reference, by the primary metric and then by the downstream averages."""
        reference = None if self._study.reference is None else row_of(self._ledger.study, self._study.reference)
        primary = str(decision(self._study.definition()).primary)
        prepared = self._ledger.study.prepared
        suites = dict.fromkeys(str(task["suite"]) for task in (prepared.tasks if prepared is not None else ()))
        metrics = list(dict.fromkeys([primary, *(f"{suite}/average" for suite in suites)]))
        other = None if reference is None or reference.number == won.number else reference.number
        return ContrastFixed(winner=won.number, reference=other, metrics=metrics)

    def _rows(self) -> list[TrialRecord]:
        trials = [self._ledger.study.trials[chosen.trial] for chosen in self._ledger.study.chosen.values()]
        return [trial for trial in trials if trial.feasible]

    def _best(self) -> list[TrialRecord]:
        """Returns the first `top` feasible sampled trials in the recommended order. Without a recommendation, trials
        with fewer dominating trials come first, then trials with the better first objective.
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
