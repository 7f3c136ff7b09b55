"""Studies on a real SLURM of one node; states that one node cannot produce, from recorded answers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from pld_search.errors import ConfigError, StudyError
from pld_search.records import jsonl
from pld_search.records.study_record import view
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers import slurm as module
from pld_search.search.launchers.slurm import Queue, SlurmJob, SlurmLauncher, exit_code, open_slurm
from pld_search.specs.launcher_settings import Slurm
from tests.search.fake_trainer import EVERY
from tests.search.launchers.controllers import of_cluster, slurm
from tests.search.studies import check_ended_once, run, small_study
from tests.search.test_kills import finish, start, wait_until

STUDY = "systems:\n  full: {schedule: full}\n  pld: {schedule: pld}\nreference: full\n"


@pytest.fixture(scope="module")
def controller() -> Iterator[Path]:
    with slurm(2) as found:
        yield found


def ended(job: SlurmJob) -> int:
    limit = time.monotonic() + 60
    while (code := job.poll()) is None:
        assert time.monotonic() < limit
        time.sleep(0.1)
    return code


def begun(job: SlurmJob) -> SlurmJob:
    limit = time.monotonic() + 60
    while job.waiting:
        assert job.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.1)
    return job


def test_ends_of_jobs_are_told_apart(tmp_path: Path, controller: Path) -> None:
    launcher = open_slurm(Slurm(), 1, gpus=False, interval=0.1)
    failed = launcher.launch(
        [sys.executable, "-c", "import os, sys; print(os.environ['WORD'], flush=True); sys.exit(7)"],
        tmp_path,
        {"WORD": "given"},
        "run-1",
    )
    assert (ended(failed), failed.verdict) == (7, None)
    assert (tmp_path / "run.log").read_text() == "given\n"
    deaf = begun(launcher.launch(["sleep", "60"], tmp_path, {}, "run-2"))
    deaf.stop()
    assert (ended(deaf), deaf.verdict) == (-15, None)
    cancelled = begun(launcher.launch(["sleep", "60"], tmp_path, {}, "run-3"))
    subprocess.run(["scancel", cancelled.trace["job"]], check=True)
    ended(cancelled)
    assert cancelled.verdict == "killed: cancelled in SLURM"
    left = begun(launcher.launch(["sleep", "60"], tmp_path, {}, "run-4"))
    SlurmLauncher(interval=0.1).end_survivors([(tmp_path, LaunchRecord(launcher="slurm", job=left.trace["job"]))])
    ended(left)
    with pytest.raises(StudyError, match=r"SLURM refuses a run: .*partition"):
        open_slurm(Slurm(options=["--partition=none"]), 1, gpus=False).launch(["true"], tmp_path, {}, "run-5")


class HalfWay:
    """An observer that stops the study once a run has got half way."""

    def notice(self, folder: Path) -> None:
        if any(record.step >= 2 * EVERY for record in view(folder).runs.values()):
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self, folder: Path) -> None:
        pass


def test_a_study_moves_to_slurm_with_its_folder(
    tmp_path: Path, controller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.03")
    monkeypatch.setattr(module, "INTERVAL", 0.2)
    study = small_study(tmp_path, STUDY, "1e-3")
    assert run(study, tmp_path / "here", 1, observers=[HalfWay()]) == 143
    (tmp_path / "here").rename(tmp_path / "there")
    assert run(study, tmp_path / "there", 2, {"launcher": "slurm"}) == 0
    found = check_ended_once(tmp_path / "there")
    assert {record.executed_steps for record in found.runs.values()} == {40}
    launched = [record for record in jsonl.read(tmp_path / "there" / "study.jsonl") if record["event"] == "launched"]
    assert [record["launcher"] for record in launched] == ["local", "slurm", "slurm"]
    assert all(record["job"].isdigit() for record in launched[1:])


def job_of(state: str, code: str = "0:0", accounting: str | None = None) -> SlurmJob:
    def ask(command: Sequence[str]) -> str | None:
        return accounting if command[0] == "sacct" else f"17                  {state:<20}{code:<12}\n" if state else ""

    return SlurmJob("17", Queue(0, ask))


@pytest.mark.parametrize(
    ("state", "code", "ends", "verdict"),
    [
        ("COMPLETED", "0:0", 0, None),
        ("FAILED", "3:0", 3, None),
        ("TIMEOUT", "0:15", -15, "stopped"),
        ("OUT_OF_MEMORY", "0:125", -125, "out_of_memory"),
        ("PREEMPTED", "0:15", -15, "stopped"),
        ("NODE_FAIL", "0:0", 0, "lost_node"),
        ("CANCELLED", "0:15", -15, "killed"),
    ],
)
def test_recorded_states(state: str, code: str, ends: int, verdict: str | None) -> None:
    for job in (job_of(state, code), job_of("", accounting=f"{state} by 0|{code}\n")):
        assert job.poll() == ends
        assert (job.verdict or "").split(":")[0] == (verdict or "")


def test_jobs_that_go_on_wait_or_are_forgotten() -> None:
    for state, waiting in (("PENDING", True), ("REQUEUED", True), ("RUNNING", False), ("COMPLETING", False)):
        job = job_of(state)
        assert job.poll() is None
        assert job.waiting == waiting
    gone = job_of("")
    assert gone.poll() == -9
    assert gone.verdict == "stopped: SLURM no longer knows its job"
    away = SlurmJob("17", Queue(0, lambda _: None))
    assert away.poll() is None
    assert [exit_code(text) for text in ("3:0", "0:9", "1792", "15", "")] == [3, -9, 7, -15, -9]


KILLS_ITS_PARENT = """#!/bin/sh
if [ ! -e {place}/done ]; then
    touch {place}/done
    {before}
    kill -9 $PPID
    {after}
    exit
fi
exec {sbatch} "$@"
"""


@pytest.mark.parametrize("moment", ["before it was handed in", "after it was handed in"])
def test_a_coordinator_killed_over_sbatch_leaves_no_second_job(
    tmp_path: Path, controller: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """`launched` was not written; the next one finds the job by its name, or hands it in where there is none."""
    monkeypatch.setenv("FAKE_STEP", "0.03")
    machine, folder, tools = tmp_path / "machine.yaml", tmp_path / "small", tmp_path / "bin"
    machine.write_text("launcher: slurm\n")
    tools.mkdir()
    hand_in = f'{shutil.which("sbatch")} "$@"'
    before, after = (":", ":") if moment.startswith("before") else (hand_in, ":")
    (tools / "sbatch").write_text(
        KILLS_ITS_PARENT.format(place=tools, before=before, after=after, sbatch=shutil.which("sbatch"))
    )
    (tools / "sbatch").chmod(0o755)
    monkeypatch.setenv("COORDINATE_MACHINE", str(machine))
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    first = start(tmp_path, folder, "systems:\n  full: {schedule: full}\nreference: full\n")
    assert finish(first) == (-signal.SIGKILL, "")
    records = [record["event"] for record in jsonl.read(folder / "study.jsonl")]
    assert records.count("launching") == 1
    assert "launched" not in records
    monkeypatch.setattr(module, "INTERVAL", 0.2)
    assert (
        run(
            small_study(tmp_path, "systems:\n  full: {schedule: full}\nreference: full\n", "1e-3"),
            folder,
            2,
            {"launcher": "slurm"},
        )
        == 0
    )
    found = check_ended_once(folder)
    assert found.runs[0, 0].executed_steps == 40
    assert not found.runs[0, 0].resumed_from
    jobs = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--Format=Name:100"], capture_output=True, text=True, check=True
    ).stdout.split()
    names = {record["name"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "launching"}
    assert len([name for name in jobs if name in names]) == 1
    assert len(names) == (2 if moment.startswith("before") else 1)


def test_another_launcher_ends_a_job_that_was_handed_in_unrecorded(tmp_path: Path, controller: Path) -> None:
    launcher = open_slurm(Slurm(), 1, gpus=False, interval=0.1)
    left = begun(launcher.launch(["sleep", "60"], tmp_path, {}, "unrecorded"))
    unknown = LaunchRecord(launcher="slurm", name="never handed in")
    assert launcher.adopt(unknown) is None
    SlurmLauncher(interval=0.1).end_survivors(
        [(tmp_path, unknown), (tmp_path, LaunchRecord(launcher="slurm", name="unrecorded"))]
    )
    ended(left)
    away = Queue(0, lambda _: None)
    with pytest.raises(StudyError, match="does not say whether the previous coordinator"):
        away.named("unrecorded")


def test_the_cluster_of_the_tests_leaves_nothing_behind(tmp_path: Path) -> None:
    with slurm(1) as file:
        begun(open_slurm(Slurm(), 1, gpus=False, interval=0.1).launch(["sleep", "1234"], tmp_path, {}, "endless"))
        wait_until(
            lambda: (
                {"slurmctld", "slurmd", "munged", "slurmstepd", "sleep"}
                <= {process.name() for process in of_cluster(file.parent)}
            )
        )
        family = list(of_cluster(file.parent))
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)


def test_a_machine_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match="missing here: sbatch, squeue, scancel"):
        open_slurm(Slurm(), 1, gpus=False)


def test_passes_that_leave_take_up_what_goes_on(
    tmp_path: Path, controller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--once` again and again, as cron would: every job is handed in once, and the study ends."""
    monkeypatch.setenv("FAKE_STEP", "0.02")
    study, folder = small_study(tmp_path, STUDY, "1e-3"), tmp_path / "small"
    with pytest.raises(ConfigError, match="end with the coordinator"):
        run(study, tmp_path / "local", 1, once=True)
    limit = time.monotonic() + 60
    passes = 0
    while not view(folder).study.completed:
        assert time.monotonic() < limit
        assert run(study, folder, 2, {"launcher": "slurm"}, once=True) == 0
        passes += 1
        time.sleep(0.3)
    assert passes > 2
    check_ended_once(folder)
    events = [record["event"] for record in jsonl.read(folder / "study.jsonl")]
    assert (events.count("launched"), events.count("exited")) == (2, 2)
