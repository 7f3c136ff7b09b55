"""Which run is launched next, and up to where: read from the ledger alone, so that a coordinator started anew goes on as the old one.

Runs of equal identity (digest and seed) are trained once: while the first goes on or waits, the others wait for it, and then
take its result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pld_search.records.trial import RunKey, TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.search.outcomes import given_up

Identity = tuple[str, int]
"""(digest, seed)."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run to launch."""

    trial: TrialRecord
    index: int

    @property
    def key(self) -> RunKey:
        return self.trial.number, self.index


def identity_of(trial: TrialRecord, index: int) -> Identity:
    """What makes two runs one: the digest of the experiment, and the seed."""
    return trial.asked["digest"], trial.asked["experiment"]["seed"] + index


class Agenda:
    """The order of work: by trial number, then by seed."""

    def __init__(self, ledger: Ledger, retries: int) -> None:
        self._ledger, self._retries = ledger, retries

    def next(self, active: Collection[RunKey]) -> Task | None:
        """The first run that has no result, goes on nowhere and equals none that comes before it; None when all wait or are done."""
        trials = self._ledger.study.trials
        taken = {identity_of(trials[number], index) for number, index in active}
        for trial, index in self._unfinished():
            if (trial.number, index) in active:
                continue
            identity = identity_of(trial, index)
            if identity not in taken:
                return Task(trial, index)
        return None

    def reuse(self) -> None:
        """Give every run without a result the one of an equal run that has ended."""
        ended: dict[Identity, RunKey] = {}
        for trial in self._ledger.study.trials.values():
            if trial.rejected is None:
                for index in trial.seeds:
                    if trial.done(index):
                        ended.setdefault(identity_of(trial, index), trial.source(index))
        for trial, index in list(self._unfinished()):
            source = ended.get(identity_of(trial, index))
            if source is not None:
                found = {"trial": source[0], "seed_index": source[1]}
                self._ledger.write("reused", trial=trial.number, seed_index=index, **{"from": found})

    def _unfinished(self) -> Iterator[tuple[TrialRecord, int]]:
        for trial in self._ledger.study.trials.values():
            if trial.open and not given_up(trial, self._retries):
                yield from ((trial, index) for index in trial.seeds if not trial.done(index))
