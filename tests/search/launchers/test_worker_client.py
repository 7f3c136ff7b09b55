"""Runs that a warm worker forks: as fresh ones in everything that others see of them, and in every bit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pld_search.host.processes import RUN, alive, end_marked, marked, start_time
from pld_search.search.launchers import worker_client
from pld_search.search.launchers.base import LOG
from pld_search.search.launchers.local import LocalJob, LocalLauncher
from pld_search.specs.machine import Machine
from pld_search.training.checkpoint import latest
from tests.golden.run_digest import digests
from tests.search.real_studies import StopAt, real_study, run
from tests.search.studies import ROOT

PATIENCE = 60
SLEEPS = "import os, time; print(os.getppid(), flush=True); time.sleep(600)"


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalLauncher]:
    """Its worker is quick to start: it loads nothing."""
    monkeypatch.setattr(worker_client, "_MODULE", "tests.search.launchers.light_worker")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with closing(LocalLauncher(warm=True)) as launcher:
        yield launcher


def start(launcher: LocalLauncher, folder: Path, code: str, **variables: str) -> LocalJob:
    folder.mkdir(parents=True, exist_ok=True)
    return launcher.launch([sys.executable, "-m", "pld_search", "train", code], folder, variables, "one")


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


def ended(job: LocalJob) -> int:
    until(lambda: job.poll() is not None)
    code = job.poll()
    assert code is not None
    return code


def log(folder: Path) -> str:
    """What the run has written; nothing before the worker has opened its log."""
    path = folder / LOG
    return path.read_text() if path.exists() else ""


def worker_of(folder: Path) -> psutil.Process:
    """The worker of a run that has written its parent."""
    until(lambda: log(folder).endswith("\n"))
    return psutil.Process(int(log(folder).split()[0]))


def test_a_forked_run_has_group_log_environment_and_names_of_its_own(light: LocalLauncher, tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpgid(0) == os.getpid(), os.environ['CUDA_VISIBLE_DEVICES'], sys.stdin.read() == '', os.getppid(), flush=True); import time; time.sleep(600)"
    jobs = [start(light, tmp_path / word, code, CUDA_VISIBLE_DEVICES=word) for word in ("one", "two")]
    for word, job in zip(("one", "two"), jobs, strict=True):
        until(lambda word=word: log(tmp_path / word).endswith("\n"))  # type: ignore[misc]
        assert log(tmp_path / word).split()[:3] == ["True", word, "True"]
        assert [place.pid for place, folder in marked() if folder == str(tmp_path / word)] == [job.pid]
        assert psutil.Process(job.pid).cmdline()[:5] == [sys.executable, "-m", "pld_search", "train", code]
        assert start_time(job.pid) == job.process_started
        assert job.trace["pid"] == job.pid
    assert log(tmp_path / "one").split()[3] == log(tmp_path / "two").split()[3]  # one worker forked both
    assert end_marked({str(tmp_path / "one")}) == 1
    assert ended(jobs[0]) == -9
    assert jobs[1].poll() is None
    jobs[1].kill()
    assert ended(jobs[1]) == -9


def test_exit_codes_and_signals_are_those_of_a_process(light: LocalLauncher, tmp_path: Path) -> None:
    catches = "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\nprint(os.getppid(), flush=True)\ntime.sleep(600)"
    polite, plain = start(light, tmp_path / "polite", catches), start(light, tmp_path / "plain", SLEEPS)
    worker_of(tmp_path / "polite")
    polite.stop()
    plain.stop()
    assert (ended(polite), ended(plain)) == (143, -15)
    assert ended(start(light, tmp_path / "fine", "print('done')")) == 0
    assert log(tmp_path / "fine") == "done\n"
    assert ended(start(light, tmp_path / "broken", "raise ValueError('no')")) == 1
    assert "ValueError: no" in log(tmp_path / "broken")


def test_after_a_failure_a_new_worker_forks_and_the_old_one_ends_with_its_last_run(
    light: LocalLauncher, tmp_path: Path
) -> None:
    going = start(light, tmp_path / "going", SLEEPS)
    old = worker_of(tmp_path / "going")
    assert ended(start(light, tmp_path / "fails", "import sys; sys.exit(1)")) == 1
    start(light, tmp_path / "next", SLEEPS)
    assert worker_of(tmp_path / "next").pid != old.pid
    assert going.poll() is None
    going.kill()
    assert ended(going) == -9
    until(lambda: not old.is_running() or old.status() == psutil.STATUS_ZOMBIE)


def test_runs_end_with_their_worker_and_the_next_run_has_a_new_one(light: LocalLauncher, tmp_path: Path) -> None:
    job = start(light, tmp_path / "one", SLEEPS)
    worker_of(tmp_path / "one").kill()
    assert ended(job) == -9
    assert not alive(job.pid, job.process_started)
    assert ended(start(light, tmp_path / "two", "print('again')")) == 0


def test_another_environment_needs_another_worker(
    light: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parent(name: str, **variables: str) -> int:
        assert ended(start(light, tmp_path / name, "import os; print(os.getppid())", **variables)) == 0
        return int(log(tmp_path / name))

    one = parent("one", OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="0")
    assert parent("two", OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="1") == one
    assert parent("three", OMP_NUM_THREADS="2", CUDA_VISIBLE_DEVICES="1") != one


def test_where_no_worker_can_be_had_a_fresh_process_runs(
    light: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_client, "_MODULE", "tests.search.launchers.no_such_module")
    assert ended(start(light, tmp_path, "experiment.yaml")) == 2  # the verb itself, which misses a word
    assert "missing option '--out'" in log(tmp_path)


def test_several_ranks_and_other_commands_are_no_runs_to_fork() -> None:
    train = [sys.executable, "-m", "pld_search", "train", "experiment.yaml"]
    assert worker_client.can_fork(train, "/a")
    assert not worker_client.can_fork([*train, "--ranks", "2"], "/a")
    assert not worker_client.can_fork(["sleep", "60"], "/a")
    assert not worker_client.can_fork(train, "/" + "a" * 5000)


def test_a_worker_and_its_runs_die_with_the_coordinator(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from pld_search.search.launchers import worker_client
from pld_search.search.launchers.local import LocalLauncher
worker_client._MODULE = "tests.search.launchers.light_worker"
job = LocalLauncher(warm=True).launch([sys.executable, "-m", "pld_search", "train", {SLEEPS!r}], Path({str(tmp_path)!r}), {{}}, "one")
print(job.pid, job.process_started, flush=True)
time.sleep(600)
"""
    coordinator = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True
    )
    assert coordinator.stdout is not None
    pid, started = coordinator.stdout.readline().split()
    worker = worker_of(tmp_path)
    assert alive(int(pid), float(started))
    coordinator.kill()
    coordinator.communicate()
    until(lambda: not alive(int(pid), float(started)) and not alive(worker.pid, worker.create_time()))


def test_auto_is_warm_on_a_cpu_and_warm_is_refused_where_nothing_forks() -> None:
    assert Machine().is_warm("cpu")
    assert not Machine().is_warm("cuda")
    assert Machine(worker="warm").is_warm("cuda")
    assert not Machine(worker="fresh").is_warm("cpu")
    with pytest.raises(ValueError, match="forks runs of one process"):
        Machine(worker="warm", gpus_per_run=2)


def test_a_warm_study_that_was_stopped_and_continued_equals_a_fresh_one_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RUN, raising=False)
    found = {}
    for worker in ("fresh", "warm"):
        study = real_study(tmp_path, steps=60)
        folder = tmp_path / worker / "tiny"
        if worker == "warm":
            assert run(study, folder, {"worker": worker}, monkeypatch, StopAt(0, 10)) == 143
            stopped = latest(folder / "trials" / "0000" / "seed-0" / "checkpoints")
            assert stopped is not None
            assert 10 <= stopped.step <= 60
        assert run(study, folder, {"worker": worker}, monkeypatch) == 0
        found[worker] = [digests(folder / "trials" / trial / "seed-0") for trial in ("0000", "0001")]
    assert found["warm"][1] == found["fresh"][1]  # every number of every event, too
    for name in ("weights", "moments"):
        assert found["warm"][0][name] == found["fresh"][0][name]  # its events tell of the stop
