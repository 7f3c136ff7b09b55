"""Early stopping: judges trials at their rungs and stops them (PRUNED) or sends them on. Every decision is recorded
before anything follows from it.

Pruners and dominance decide at once. Promotion decides when a slot is free, for the highest rung first. The learned
rule (learned_stopping.py) decides when a slot is free, for the option of the largest worth. A trial that waits at a
rung stays RUNNING in Optuna until nothing more can arrive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pld_search.by_name import by_name
from pld_search.records.study_events import RungReached, SearchDecided, TrialPromoted
from pld_search.records.trial_record import TrialRecord
from pld_search.search.configuration_value import DIVERGED, values_at
from pld_search.search.ledger import Ledger
from pld_search.search.run_queue import twins_of
from pld_search.search.sampling import Backend, step_of
from pld_search.search.successive_halving import last_promotion, next_promotion
from pld_search.search.tell_results import Teller
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.early_stopping import Branching, Dominance, EarlyStopping, Learned, Promotion
from pld_search.spaces.objectives import dominators
from pld_search.spaces.study import Study

if TYPE_CHECKING:
    from pld_search.search.learned_stopping import Chooser

# loaded by name where the rule is `learned`: its model loads scipy's distributions
_CHOOSER = "pld_search.search.learned_stopping:Chooser"


class Judge:
    """Applies the early stopping of one search; does nothing for a study without early stopping."""

    def __init__(self, ledger: Ledger, study: Study, teller: Teller, backend: Backend) -> None:
        self._ledger, self._teller, self._objectives = ledger, teller, study.objectives
        self._rule: EarlyStopping | None = study.search.early_stopping if study.search is not None else None
        self._stopper = (
            backend.stopper(self._rule, study)
            if self._rule is not None and not isinstance(self._rule, Branching | Dominance)
            else None
        )
        self._chooser: Chooser | None = (
            by_name(_CHOOSER)(ledger, study, self._rule) if isinstance(self._rule, Learned) else None
        )
        self._most = study.search.trials if study.search is not None else 0
        self._nobody_at = -1

    @property
    def branching(self) -> bool:
        """Whether runs are ranked by branches that decay the learning rate, and not by their state at the pause."""
        return isinstance(self._rule, Branching)

    def judge(self) -> None:
        """Records every trial that arrived at a rung, and decides at once where the rule waits for no other trial."""
        for trial in [each for each in self._ledger.index.unsettled if each.rung_steps]:
            if trial.open and self._arrived(trial):
                self._take_in(trial)
            if trial.waits and self._chooser is not None and not _predicted(trial):
                self._chooser.predict(trial)
            if trial.waits and not self.branching:
                self._decide(trial)
        for number, first in twins_of(self._ledger).items():
            trial = self._ledger.study.trials[number]
            if trial.open and first.pruned:
                self._stop(trial, f"equal to trial {first.number}, which was stopped")

    def promote(self) -> bool:
        """Sends one trial on when a slot is free for it; returns False when no trial is due."""
        if self._chooser is not None:
            return self._chosen(self._chooser)
        if not isinstance(self._rule, Promotion):
            return False
        rungs, gone, waiting = self._values_by_rung()
        found = next_promotion(rungs, gone, waiting, self._rule.eta)
        return found is not None and self._promoted(self._ledger.study.trials[found])

    def close(self) -> bool:
        """Called when nothing more will arrive. Sends the best trial on from a rung that has sent no trial on;
        otherwise stops all waiting trials.

        Returns False when no trial waited.
        """
        rungs, gone, waiting = self._values_by_rung()
        if self._chooser is not None:
            if self._follow(self._chooser.choose([self._ledger.study.trials[each] for each in waiting], asking=False)):
                return True
        elif (found := last_promotion(rungs, gone, waiting)) is not None:
            return self._promoted(self._ledger.study.trials[found])
        for number in waiting:
            trial = self._ledger.study.trials[number]
            self._stop(trial, f"not promoted from {self._at(trial)}")
        return bool(waiting)

    def _chosen(self, chooser: Chooser) -> bool:
        """Follows the last decision or makes a new one. After a decision to send no trial on, waits for new records."""
        if self._ledger.study.decided is not None:
            return self._follow(self._ledger.study.decided)
        trials = self._trials()
        waiting = [trial for trial in trials if trial.waits]
        if not waiting or self._ledger.count == self._nobody_at:
            return False
        asked = sum(not trial.rejected for trial in sampled_for(self._ledger, None))
        if not self._follow(chooser.choose(waiting, asking=asked < self._most)):
            self._nobody_at = self._ledger.count
            return False
        return True

    def _follow(self, decided: SearchDecided | None) -> bool:
        if decided is None or decided.trial is None:
            return False
        return self._promoted(self._ledger.study.trials[decided.trial])

    def _trials(self) -> Sequence[TrialRecord]:
        return self._ledger.index.with_rungs

    def _arrived(self, trial: TrialRecord) -> bool:
        """Whether every seed's run is at the next rung (with branches: its branch ended) and at least one run can go
        on.
        """
        at = trial.pause_at
        if at is None or len(trial.rungs) > trial.promoted or all(trial.done(index) for index in trial.seeds):
            return False
        return all(trial.done(index) or self._is_at_rung(trial, index, at) for index in trial.seeds)

    def _is_at_rung(self, trial: TrialRecord, index: int, at: int) -> bool:
        ranked = not self.branching or at in trial.branched.get(index, ())
        return trial.paused.get(index, 0) >= at and ranked

    def _take_in(self, trial: TrialRecord) -> None:
        at, rung = trial.pause_at, trial.promoted
        assert self._rule is not None and at is not None
        values = values_at(self._ledger.folder, trial, self._objectives, at if self.branching else None)
        self._ledger.write(
            RungReached(trial=trial.number, rung=rung, steps=at, step=step_of(self._rule, rung), values=values)
        )

    def _decide(self, trial: TrialRecord) -> None:
        if isinstance(self._rule, Dominance):
            count = self._dominators(trial)
            reason = f"dominated by {count} others at {self._at(trial)}" if count >= self._rule.by else None
        else:
            assert self._stopper is not None
            assert self._rule is not None
            reason = (
                f"stopped by the {self._rule.kind} rule at {self._at(trial)}"
                if self._stopper.stops(trial, self._trials())
                else None
            )
        if reason is None:
            self._promoted(trial)
        else:
            self._stop(trial, reason)

    def _dominators(self, trial: TrialRecord) -> int:
        rung = len(trial.rungs) - 1
        others = [each.rungs[rung].values for each in self._trials() if each is not trial and len(each.rungs) > rung]
        return dominators(
            self._objectives.signed(trial.rungs[rung].values), [self._objectives.signed(values) for values in others]
        )

    def _values_by_rung(self) -> tuple[list[dict[int, float]], list[set[int]], list[int]]:
        """Returns, by rung, the value of each trial that arrived (less is better) and the trials sent on; and the
        trials that wait. A trial that diverged before a rung ranks last at that rung.
        """
        trials = self._trials()
        count = max((len(trial.rung_steps) for trial in trials), default=0)
        rungs: list[dict[int, float]] = [{} for _ in range(count)]
        gone: list[set[int]] = [set() for _ in range(count)]
        for trial in trials:
            for rung, record in enumerate(trial.rungs):
                rungs[rung][trial.number] = self._objectives.signed(record.values)[0]
            for rung in range(trial.promoted):
                gone[rung].add(trial.number)
            if (
                trial.told is not None
                and trial.told.constraints.get(DIVERGED, 0) > 0
                and trial.promoted < len(trial.rung_steps)
            ):
                rungs[trial.promoted].setdefault(trial.number, math.inf)
        return rungs, gone, [trial.number for trial in trials if trial.waits]

    def _promoted(self, trial: TrialRecord) -> bool:
        self._ledger.write(TrialPromoted(trial=trial.number, rung=trial.promoted))
        return True

    def _stop(self, trial: TrialRecord, reason: str) -> None:
        self._teller.told(trial, "PRUNED", None, {DIVERGED: 0.0}, reason)

    def _at(self, trial: TrialRecord) -> str:
        return f"rung {len(trial.rungs)} (step {trial.rungs[-1].steps:,})"


def _predicted(trial: TrialRecord) -> bool:
    """Whether the trial's end was predicted at its last rung."""
    return bool(trial.predicted) and trial.predicted[-1].rung == len(trial.rungs) - 1
