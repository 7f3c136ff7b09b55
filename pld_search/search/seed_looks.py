"""`run --until-decided`: more seeds for undecided rows, in at most three looks; each look is recorded before it is
acted on.

The report computes the verdicts; the caller of the coordinator passes a function that takes a look. A look is a record,
so a coordinator that was killed and started again trains the seeds of the recorded look and takes no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pld_search.records.study_events import LooksDeclared, StudyLooked, TrialConfirming, TrialReseeded
from pld_search.records.trial_record import CONFIRMATION
from pld_search.search.ledger import Ledger

MOST = 3
"""Number of declared looks; each look spends a third of the error probability."""


@dataclass(frozen=True, slots=True)
class Look:
    """Verdicts by row, and the number of seeds by trial for the next look; empty when more seeds would not help."""

    verdicts: Mapping[str, str]
    seeds: Mapping[int, int]


TakeLook = Callable[[Path], Look]


class SeedLooks:
    """Takes the looks of a study; does nothing without `take`, the function that looks at a study's folder."""

    def __init__(self, ledger: Ledger, take: TakeLook | None) -> None:
        self._ledger, self._take = ledger, take

    def declare(self) -> None:
        """Records that there will be three looks; the record says when a result was already seen before the
        declaration.
        """
        study = self._ledger.study
        if self._take is not None and study.looks is None:
            seen = any(trial.told is not None for trial in study.trials.values() if trial.system is not None)
            self._ledger.write(LooksDeclared(most=MOST, post_hoc=seen))

    def begin(self) -> bool:
        """Takes a look once nothing is left to train, and asks for the seeds that would decide. Returns False when
        nothing follows.
        """
        if self._take is None:
            return False
        study = self._ledger.study
        if study.looked and self._ask_for_seeds(study.looked[-1]):
            return True
        if study.looked and (len(study.looked) >= MOST or not study.looked[-1].seeds):
            return False
        found, number = self._take(self._ledger.folder), len(study.looked) + 1
        wanted = {str(trial): seeds for trial, seeds in found.seeds.items()} if number < MOST else {}
        self._ledger.write(StudyLooked(look=number, verdicts=dict(found.verdicts), seeds=wanted))
        return self._ask_for_seeds(self._ledger.study.looked[-1])

    def _ask_for_seeds(self, look: StudyLooked) -> bool:
        """Asks for the seeds of a look that are still missing; returns whether any was missing."""
        bought = False
        for number, seeds in look.seeds.items():
            trial = self._ledger.study.trials[int(number)]
            if trial.confirming and len(trial.confirming) < seeds:
                fresh = range(CONFIRMATION, CONFIRMATION + seeds)
                self._ledger.write(TrialConfirming(trial=trial.number, seeds=list(fresh)))
                bought = True
            elif not trial.confirming and len(trial.seeds) < seeds:
                self._ledger.write(TrialReseeded(trial=trial.number, seeds=list(range(seeds))))
                bought = True
        return bought
