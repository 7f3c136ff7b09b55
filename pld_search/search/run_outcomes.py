"""Classifies how a run ended: a result, or a kind of failure, from its events, its exit code and the end of its log."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pld_search.host.processes import KILL
from pld_search.records.run_record import RunRecord
from pld_search.records.trial_record import ENDED, LaunchRecord, TrialRecord

WRONG_USAGE = 2
LINES = 12
_STOPPED = tuple(each for number in (signal.SIGINT, signal.SIGTERM) for each in (-number, 128 + number))
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_LOST_RANK = re.compile(r"exitcode\s*:\s*-(\d+)|Signal (\d+) \(SIG")


@dataclass(frozen=True, slots=True)
class End:
    """How one launch ended: the outcome of its `exited` record, the reason, and the last log lines of a failed
    launch.
    """

    outcome: str
    reason: str | None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts about a launch besides its events: the exit code, whether this launch wrote any event, the lines it
    added to its log, whether the system meanwhile killed a process for lack of memory, the coordinator's own reason for
    ending it, and the launched part (up to step `until`, or a branch).
    """

    code: int
    begun: bool
    log: tuple[str, ...] = ()
    memory_ran_out: bool = False
    verdict: str | None = None
    until: int | None = None
    branch: bool = False


def end_of(record: RunRecord, seen: Circumstances) -> End:
    """Returns the end of a launch. A result comes first; then the coordinator's own verdict; then the run's last
    record; then outside signs.
    """
    result = result_of(record, seen.until, branch=seen.branch)
    if result is not None:
        return result
    if seen.verdict is not None:
        outcome, _, reason = seen.verdict.partition(": ")
        return End(outcome, reason)
    # else rank 0 was stopped because another rank was lost
    if seen.begun and record.state == "stopped" and seen.code in _STOPPED:
        return End("stopped", record.reason)
    if _full(record, seen):
        return End("disk_full", "no space left on the disk", seen.log)
    if seen.begun and record.state == "failed":
        return End(record.kind or "crashed", record.reason, seen.log)
    return _without_a_word(seen)


def result_of(record: RunRecord, until: int | None, *, branch: bool) -> End | None:
    """Returns the end of a part that was done: the run finished, diverged, or paused at the step it was launched to;
    None when the part was not done.

    For a branch, `record` is the branch's own. Whether the branch diverged is part of its value, not of the run's end.
    """
    if record.state in ENDED:
        return End("branched" if branch else record.state, record.reason)
    if until is not None and record.state == "paused" and record.step == until:
        return End("paused", None)
    return None


def _without_a_word(seen: Circumstances) -> End:
    """Returns the end of a run that recorded no reason itself."""
    number = -seen.code if seen.code < 0 else _signal_of_a_rank(seen.log)
    if number == KILL and seen.memory_ran_out:
        return End("out_of_memory", "killed by the system for lack of memory", seen.log)
    if number is not None:
        return End("killed", f"ended by {_signal_name(number)}", seen.log if seen.code >= 0 else ())
    last = f": {seen.log[-1]}" if seen.log else ""
    return End("crashed", f"ended with exit code {seen.code}{last} (see run.log)", seen.log)


def _full(record: RunRecord, seen: Circumstances) -> bool:
    told = record.reason if seen.begun and record.state == "failed" else None
    return any(_FULL.search(text) for text in (*seen.log, told or ""))


def _signal_of_a_rank(log: tuple[str, ...]) -> int | None:
    """Returns the signal that ended a rank, as torch's launcher reports it before it exits with code 1."""
    found = next((match for line in log if (match := _LOST_RANK.search(line))), None)
    return None if found is None else int(found[1] or found[2])


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def last_lines(log: Path, since: int, count: int = LINES) -> tuple[str, ...]:
    """Returns the last non-blank lines of a log from byte `since` on: the lines of one launch."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, os.fstat(file.fileno()).st_size - 16384))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(deque((line.rstrip() for line in lines if line.strip()), maxlen=count))


def given_up(trial: TrialRecord, retries: int) -> bool:
    """Whether a run of this trial failed for good: more failures than retries, or a failure that a retry repeats."""
    return any(
        hopeless(launch, retries)
        for index, launch in trial.launches.items()
        if index in trial.seeds and not trial.done(index)
    )


def unconfirmed(trial: TrialRecord, retries: int) -> list[int]:
    """Returns the seed indices of a trial's confirming runs that failed for good."""
    return [
        index
        for index in trial.confirming
        if not trial.done(index) and hopeless(trial.launches.get(index, LaunchRecord()), retries)
    ]


def failed_for_good(trials: Iterable[TrialRecord], retries: int) -> list[int]:
    """Returns the numbers of the trials that `retry` can retry: told FAIL, or with a confirming run that failed for
    good.
    """
    return [trial.number for trial in trials if trial.failed or unconfirmed(trial, retries)]


def hopeless(launch: LaunchRecord, retries: int) -> bool:
    """Whether a run failed more often than `retries`, or in a way that a retry repeats."""
    wrong = launch.outcome == "crashed" and launch.code == WRONG_USAGE
    return launch.failures > retries or wrong or launch.outcome == "timed_out"
