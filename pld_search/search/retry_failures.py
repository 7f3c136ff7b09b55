"""Retries failures for good on request: trials that were told FAIL, and confirming runs. A retry is recorded and goes
on from the checkpoints.
"""

from __future__ import annotations

from pld_search.records.study_events import TrialRetried
from pld_search.search.ledger import Ledger
from pld_search.search.run_outcomes import unconfirmed
from pld_search.search.sampling import Samplers


def retry(ledger: Ledger, samplers: Samplers, retries: int, number: int | None = None) -> None:
    """Retries one failed trial, or (None) all of them; does nothing for a trial without a failure.

    Optuna cannot take back that a trial failed, so the question is asked again under a new number. A confirming run is
    no part of a question: the trial keeps its result.
    """
    for trial in ledger.study.trials.values():
        if number not in (None, trial.number):
            continue
        if trial.failed:
            ledger.write(TrialRetried(trial=trial.number, number=samplers.free_number(trial)))
            samplers.again(trial)
        elif fresh := unconfirmed(trial, retries):
            ledger.write(TrialRetried(trial=trial.number, seeds=fresh))
