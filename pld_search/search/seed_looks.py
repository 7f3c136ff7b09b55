"""`run --until-decided`: more seeds for undecided rows, at most three looks, each written down before it is acted on.

The verdicts themselves are the report's; whoever starts the coordinator hands in a function that takes a look. A look
is a record, so that a coordinator which is killed and started again buys what was decided and looks no second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pld_search.records.study_events import LooksDeclared, StudyLooked, TrialConfirming, TrialReseeded
from pld_search.records.trial_record import CONFIRMATION
from pld_search.search.ledger import Ledger

MOST = 3
"""Looks that are declared; each has a third of the error."""


@dataclass(frozen=True, slots=True)
class Look:
    """Verdicts by row, and by trial the seeds it shall have at the next look; none where more would not help."""

    verdicts: Mapping[str, str]
    seeds: Mapping[int, int]


TakeLook = Callable[[Path], Look]


class SeedLooks:
    """Nothing without `take`, the function that looks at a study's folder."""

    def __init__(self, ledger: Ledger, take: TakeLook | None) -> None:
        self._ledger, self._take = ledger, take

    def declare(self) -> None:
        """Write down that there will be three looks; too late for a result that has been seen, and it says so."""
        study = self._ledger.study
        if self._take is not None and study.looks is None:
            seen = any(trial.told is not None for trial in study.trials.values() if trial.system is not None)
            self._ledger.write(LooksDeclared(most=MOST, post_hoc=seen))

    def begin(self) -> bool:
        """Look, once nothing is left to train, and ask for the seeds that would decide; False where nothing follows."""
        if self._take is None:
            return False
        study = self._ledger.study
        if study.looked and self._buy(study.looked[-1]):
            return True
        if study.looked and (len(study.looked) >= MOST or not study.looked[-1].seeds):
            return False
        found, number = self._take(self._ledger.folder), len(study.looked) + 1
        wanted = {str(trial): seeds for trial, seeds in found.seeds.items()} if number < MOST else {}
        self._ledger.write(StudyLooked(look=number, verdicts=dict(found.verdicts), seeds=wanted))
        return self._buy(self._ledger.study.looked[-1])

    def _buy(self, look: StudyLooked) -> bool:
        """Ask for what a look wants and is not there; whether anything was missing."""
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
