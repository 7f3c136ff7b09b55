"""Asks the coordinator of a study to stop, or to retry failed trials."""

from __future__ import annotations

import time
from pathlib import Path

from pld_search.errors import ConfigError, Problem
from pld_search.host.processes import end_survivor, host
from pld_search.records.study_record import fold_study
from pld_search.search.coordinator_lock import Holder, holder_of
from pld_search.search.requests import request
from pld_search.search.run_outcomes import failed_for_good

POLL = 0.2  # seconds between two looks at a coordinator that was asked to end
PATIENCE = 10.0  # seconds in which a coordinator must answer a request to end now, before it is killed


def ask_to_stop(folder: Path, *, now: bool) -> Holder | None:
    """Asks the coordinator of a study to end (`now`: and to kill its runs). Returns None when no coordinator runs."""
    holder = holder_of(folder)
    if holder is not None:
        request(folder, "stop", now=now)
    return holder


def wait_for_end(folder: Path, holder: Holder, *, now: bool) -> None:
    """Waits until this coordinator has ended. With `now`, kills a coordinator of this machine that does not answer."""
    begun = time.monotonic()
    while holder_of(folder) == holder:
        if now and time.monotonic() - begun > PATIENCE and holder.host == host():
            end_survivor(holder.pid, holder.process_started)  # its runs end with it
        time.sleep(POLL)


def ask_to_retry(folder: Path, trial: int | None, retries: int) -> list[int]:
    """Asks to retry one trial, or (None) all trials that failed more often than `retries`. Returns their numbers.

    Raises ConfigError when the named trial did not fail.
    """
    failed = failed_for_good(fold_study(folder).trials.values(), retries)
    if trial is not None and trial not in failed:
        allowed = " | ".join(map(str, failed)) or "none: no trial of this study failed"
        raise ConfigError(Problem("this trial did not fail", ("trial",), allowed=allowed, given=str(trial)))
    if failed:
        request(folder, "retry", trial=trial)
    return failed if trial is None else [trial]
