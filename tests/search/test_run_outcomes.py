from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.run_record import RunRecord
from pld_search.records.study_events import TrialAsked
from pld_search.records.trial_record import LaunchRecord, TrialRecord
from pld_search.search.run_outcomes import Circumstances, End, end_of, given_up, hopeless, last_lines

RUNNING = RunRecord(state="running", attempt=1)
FAILED = RunRecord(state="failed", reason="ValueError: no", kind="crashed", attempt=1)
MEMORY = RunRecord(state="failed", reason="OutOfMemoryError: CUDA out of memory", kind="out_of_memory", attempt=1)
FULL = RunRecord(state="failed", reason="OSError: [Errno 28] No space left on device", kind="crashed", attempt=1)
RANK = ("torch.distributed.elastic...: FAILED", "  exitcode  : -9 (pid: 123)")


@pytest.mark.parametrize(
    ("record", "seen", "outcome", "words"),
    [
        # killed after the last event: it has its result
        (RunRecord(state="finished"), Circumstances(-9, True), "finished", None),
        (RunRecord(state="diverged", reason="NaN"), Circumstances(0, True), "diverged", "NaN"),
        (RUNNING, Circumstances(-9, True, verdict="stalled: wrote nothing for 5 s"), "stalled", "wrote nothing"),
        (
            RunRecord(state="stopped"),
            Circumstances(143, True, verdict="timed_out: took longer than 5 s"),
            "timed_out",
            "longer",
        ),
        (
            RunRecord(state="finished"),
            Circumstances(0, True, verdict="timed_out: took longer than 5 s"),
            "finished",
            None,
        ),
        (RunRecord(state="stopped", reason="SIGTERM"), Circumstances(143, True), "stopped", "SIGTERM"),
        (FAILED, Circumstances(1, True), "crashed", "ValueError: no"),
        # the failure was an earlier attempt's
        (FAILED, Circumstances(1, False, ("bad key",)), "crashed", "exit code 1: bad key"),
        (MEMORY, Circumstances(1, True), "out_of_memory", "CUDA out of memory"),
        (FULL, Circumstances(1, True), "disk_full", "no space"),
        (RUNNING, Circumstances(1, True, ("pld-search: x: No space left on device (y)",)), "disk_full", "no space"),
        (RUNNING, Circumstances(-9, True), "killed", "signal 9 (SIGKILL)"),
        (RUNNING, Circumstances(-11, True), "killed", "SIGSEGV"),
        (RUNNING, Circumstances(-9, True, memory_ran_out=True), "out_of_memory", "by the system"),
        (RUNNING, Circumstances(-15, True, memory_ran_out=True), "killed", "SIGTERM"),
        (RUNNING, Circumstances(1, True, RANK), "killed", "SIGKILL"),
        # rank 0 was told to stop
        (RunRecord(state="stopped", reason="SIGTERM"), Circumstances(1, True, RANK), "killed", "SIGKILL"),
        (
            RunRecord(state="stopped", reason="SIGTERM"),
            Circumstances(1, True, ("exitcode : 1",)),
            "crashed",
            "exit code 1",
        ),
        (RUNNING, Circumstances(1, True, RANK, memory_ran_out=True), "out_of_memory", "by the system"),
        (RUNNING, Circumstances(7, True), "crashed", "exit code 7"),
        (RunRecord(state="paused", step=10), Circumstances(0, True, until=10), "paused", None),
        # the pause was an earlier part's
        (RunRecord(state="paused", step=10), Circumstances(0, True, until=20), "crashed", "exit code 0"),
        (RunRecord(state="finished"), Circumstances(0, True, branch=True), "branched", None),
        (RunRecord(state="diverged", reason="NaN"), Circumstances(0, True, branch=True), "branched", "NaN"),
    ],
)
def test_ends_are_told_apart(record: RunRecord, seen: Circumstances, outcome: str, words: str | None) -> None:
    end = end_of(record, seen)
    assert end.outcome == outcome
    assert words is None or words in str(end.reason)
    assert end.lines in ((), seen.log)


@pytest.mark.parametrize(
    ("launch", "retries", "hopeless_now"),
    [
        (LaunchRecord(outcome="killed", failures=1, code=-9), 1, False),
        (LaunchRecord(outcome="killed", failures=2, code=-9), 1, True),
        (LaunchRecord(outcome="killed", failures=1, code=-9), 0, True),
        (LaunchRecord(outcome="crashed", failures=1, code=1), 3, False),
        (LaunchRecord(outcome="crashed", failures=1, code=2), 3, True),  # wrong usage stays wrong
        (LaunchRecord(outcome="timed_out"), 3, True),
        (LaunchRecord(outcome="stopped", code=143), 0, False),
        (LaunchRecord(outcome="lost_node"), 0, False),
        (LaunchRecord(), 0, False),
    ],
)
def test_what_another_try_may_mend(launch: LaunchRecord, retries: int, hopeless_now: bool) -> None:
    assert hopeless(launch, retries) is hopeless_now
    trial = TrialRecord(
        0,
        "sampled",
        None,
        TrialAsked(0, "sampled", None, seeds=[0, 1]),
        launches={0: LaunchRecord(outcome="finished", failures=9), 1: launch},
    )
    assert given_up(trial, retries) is hopeless_now  # the run that finished in the end is not held against it
    # nor is one that confirms
    assert not given_up(
        TrialRecord(0, "sampled", None, TrialAsked(0, "sampled", None, seeds=[0]), launches={1000: launch}), retries
    )


def test_a_failure_shows_the_end_of_its_log() -> None:
    assert end_of(FAILED, Circumstances(1, True, ("a", "b"))) == End("crashed", "ValueError: no", ("a", "b"))


def test_the_last_lines_are_those_of_this_launch(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    assert last_lines(log, 0) == ()
    log.write_text("earlier\n")
    since = log.stat().st_size
    with log.open("a") as file:
        file.write("".join(f"line {number}\n\n" for number in range(30)))
    assert last_lines(log, since) == tuple(f"line {number}" for number in range(18, 30))
    assert last_lines(log, log.stat().st_size) == ()
