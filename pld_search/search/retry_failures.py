"""A new chance for what failed for good: trials told FAIL, and runs that confirm; on request, recorded, from their
checkpoints.
"""

from __future__ import annotations

from pld_search.records.study_events import TrialRetried
from pld_search.search.ledger import Ledger
from pld_search.search.run_outcomes import unconfirmed
from pld_search.search.sampling import Samplers


def retry(ledger: Ledger, samplers: Samplers, retries: int, number: int | None = None) -> None:
    """Give one failed trial, or (None) all of them, a new chance; nothing for a trial of which nothing failed.

    Optuna cannot take back that a trial failed, so the question is put once more, under a new number. A run that
    confirms is no part of any question: the trial stays told.
    """
    for trial in ledger.study.trials.values():
        if number not in (None, trial.number):
            continue
        if trial.failed:
            ledger.write(TrialRetried(trial=trial.number, number=samplers.free_number(trial)))
            samplers.again(trial)
        elif fresh := unconfirmed(trial, retries):
            ledger.write(TrialRetried(trial=trial.number, seeds=fresh))
