"""The index of a study's trials that a coordinator reads after every record. It is updated with each record, so that
the time of a record does not grow with the number of trials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pld_search.records.study_events import RunKey, TrialKind
from pld_search.records.trial_record import TrialRecord
from pld_search.spaces.asking_order import Place

Identity = tuple[str, int]
"""(digest, seed): runs with equal values are the same run."""


class TrialIndex:
    """An index of one study's trials; the ledger calls `update` after each record about a trial.

    `asked` counts, by place, the trials without rejected samples. `with_rungs` contains the trials with rungs.
    """

    def __init__(self, trials: Iterable[TrialRecord]) -> None:
        self._unsettled: dict[int, TrialRecord] = {}
        self._ended: dict[Identity, tuple[RunKey, RunKey]] = {}
        self._by_place: dict[Place, list[TrialRecord]] = {}
        self._known, self._counted = set[int](), set[int]()
        self.asked: Counter[Place] = Counter()
        self.with_rungs: list[TrialRecord] = []
        for trial in trials:
            self.update(trial)

    def update(self, trial: TrialRecord) -> None:
        """Updates the index for a changed or new trial. New trials come in the order of their numbers."""
        place = trial.kind, trial.system
        if trial.number not in self._known:
            self._known.add(trial.number)
            self._by_place.setdefault(place, []).append(trial)
            if trial.asked.rungs:
                self.with_rungs.append(trial)
        self._count(trial, place)
        if trial.open or not all(trial.done(index) for index in trial.confirming):
            self._unsettled[trial.number] = trial
        else:
            self._unsettled.pop(trial.number, None)
        if trial.rejected is None:
            for index in trial.indices:
                if trial.done(index):
                    self._end(trial, index)

    @property
    def unsettled(self) -> list[TrialRecord]:
        """Trials that wait for runs (also for confirming runs), by number."""
        return [self._unsettled[number] for number in sorted(self._unsettled)]

    def of(self, kind: TrialKind, system: str | None) -> Sequence[TrialRecord]:
        """Returns the trials of a place, by number."""
        return self._by_place.get((kind, system), ())

    @property
    def systems(self) -> list[TrialRecord]:
        """The trials of declared systems, by number."""
        found = [trial for (kind, _), trials in self._by_place.items() if kind == "system" for trial in trials]
        return sorted(found, key=lambda trial: trial.number)

    def ended(self, identity: Identity) -> RunKey | None:
        """Returns the run whose events count for every run of this identity; None when none has ended."""
        found = self._ended.get(identity)
        return None if found is None else found[1]

    def _count(self, trial: TrialRecord, place: Place) -> None:
        counts = trial.kind == "system" or not trial.rejected
        if counts and trial.number not in self._counted:
            self._counted.add(trial.number)
            self.asked[place] += 1
        elif not counts and trial.number in self._counted:
            self._counted.remove(trial.number)
            self.asked[place] -= 1

    def _end(self, trial: TrialRecord, index: int) -> None:
        """Of equal runs the first counts, by trial and seed."""
        identity, key = trial.identity(index), (trial.number, index)
        known = self._ended.get(identity)
        if known is None or key <= known[0]:
            self._ended[identity] = key, trial.source(index)
