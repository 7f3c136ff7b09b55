"""A new chance for trials that were told FAIL: on request, recorded, their runs from their checkpoints."""

from __future__ import annotations

from pld_search.search.ledger import Ledger
from pld_search.search.samplers import Samplers


def retry(ledger: Ledger, samplers: Samplers, number: int | None = None) -> None:
    """Give one failed trial, or (None) all of them, a new chance; nothing for a trial that did not fail.

    Optuna cannot take back that a trial failed, so the question is put once more, under a new number.
    """
    for trial in ledger.study.trials.values():
        if trial.failed and number in (None, trial.number):
            ledger.write("retried", trial=trial.number, number=samplers.free_number(trial))
            samplers.again(trial)
