"""Decides which run is launched next and up to which step. The queue is read from the ledger alone, so a restarted
coordinator goes on like the old one.

Runs of equal identity (digest and seed) are trained once: while the first one runs or waits, the others wait for it and
then take its result. A run with rungs is launched in parts: up to the next rung; then (for promotion) the branch that
is ranked there; then, once its trial was promoted, further on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pld_search.records.study_events import RunKey, RunReused
from pld_search.records.trial_record import TrialRecord, confirms
from pld_search.search.ledger import Ledger
from pld_search.search.run_outcomes import given_up, unconfirmed
from pld_search.search.trial_index import Identity


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run to launch: up to step `until` (None: to its end), or its branch that leaves it at step `branch`."""

    trial: TrialRecord
    index: int
    until: int | None = None
    branch: int | None = None

    @property
    def key(self) -> RunKey:
        """The trial's number and the run's index in the trial."""
        return self.trial.number, self.index


def identity_of(trial: TrialRecord, index: int) -> Identity:
    """Returns the identity of a run: the digest of the experiment, and the seed."""
    return trial.identity(index)


class Agenda:
    """The order of work: by trial number, then by seed index."""

    def __init__(self, ledger: Ledger, retries: int, *, branching: bool = False) -> None:
        self._ledger, self._retries, self._branching = ledger, retries, branching

    def next(self, active: Collection[RunKey]) -> QueuedRun | None:
        """Returns the first run that has no result, is not live and equals no earlier run; None when all wait or are
        done.
        """
        trials = self._ledger.study.trials
        taken = {identity_of(trials[number], index) for number, index in active}
        for trial, index in self._unfinished():
            if (trial.number, index) in active:
                continue
            identity = identity_of(trial, index)
            task = self._part(trial, index)
            if identity not in taken and task is not None:
                return task
        return None

    def _part(self, trial: TrialRecord, index: int) -> QueuedRun | None:
        """Returns the next part of an unfinished run; None while its trial waits at a rung."""
        at = trial.pause_at
        if at is None or confirms(index):
            return QueuedRun(trial, index)
        if trial.paused.get(index, 0) < at:
            return QueuedRun(trial, index, until=at)
        if self._branching and at not in trial.branched.get(index, ()):
            return QueuedRun(trial, index, branch=at)
        return None

    def reuse(self) -> None:
        """Gives every run without a result the result of an equal run that has ended."""
        for trial, index in list(self._without_result()):
            source = self._ledger.index.ended(identity_of(trial, index))
            if source is not None:
                self._ledger.write(RunReused(trial=trial.number, seed_index=index, source=source))

    def _unfinished(self) -> Iterator[tuple[TrialRecord, int]]:
        twins = twins_of(self._ledger)
        yield from ((trial, index) for trial, index in self._without_result() if trial.number not in twins)

    def _without_result(self) -> Iterator[tuple[TrialRecord, int]]:
        for trial in self._ledger.index.unsettled:
            if trial.open and not given_up(trial, self._retries):
                yield from ((trial, index) for index in trial.seeds if not trial.done(index))
            failed = unconfirmed(trial, self._retries)
            yield from ((trial, index) for index in trial.confirming if not trial.done(index) and index not in failed)


def twins_of(ledger: Ledger) -> dict[int, TrialRecord]:
    """Returns trials with rungs that equal an earlier trial, by number. Only the earlier trial is judged; the equal
    trials end as it does.
    """
    first: dict[str, TrialRecord] = {}
    found: dict[int, TrialRecord] = {}
    for trial in ledger.index.with_rungs:
        if not trial.failed:
            one = first.setdefault(str(trial.asked.digest), trial)
            if one is not trial:
                found[trial.number] = one
    return found
