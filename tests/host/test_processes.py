from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pld_search.errors import StudyError
from pld_search.host.processes import alive, end_survivor, start_time
from pld_search.search.coordinator_lock import only_coordinator
from pld_search.search.launchers.local import LocalLauncher


def test_a_survivor_is_known_by_pid_and_start_and_killed_with_its_group() -> None:
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '60'])"], process_group=0
    )
    started = start_time(sleeper.pid)
    assert started is not None
    assert not end_survivor(sleeper.pid, started - 5)  # another process with this number
    assert sleeper.poll() is None
    assert end_survivor(sleeper.pid, started)
    assert sleeper.wait() < 0
    assert not end_survivor(sleeper.pid, started)


def test_a_run_has_its_own_group_log_and_environment(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    code = "import os, sys; print(os.getpgid(0) == os.getpid(), os.environ['WORD'], flush=True); sys.exit(7)"
    job = LocalLauncher().launch([sys.executable, "-c", code], tmp_path, {"WORD": "given"}, "one")
    assert job.process_started <= time.time()
    while job.poll() is None:
        time.sleep(0.01)
    assert job.poll() == 7
    assert log.read_text() == "True given\n"


def test_stop_asks_and_kill_ends(tmp_path: Path) -> None:
    job = LocalLauncher().launch(["sleep", "60"], tmp_path, {}, "one")
    job.stop()
    while (code := job.poll()) is None:
        time.sleep(0.01)
    assert code == -15
    job.kill()  # nothing left to end
    deaf = LocalLauncher().launch([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, {}, "one")
    deaf.kill()
    while (code := deaf.poll()) is None:
        time.sleep(0.01)
    assert code == -9
    assert not alive(deaf.pid, deaf.process_started)


def test_runs_are_launched_from_the_main_thread_only(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def launch() -> None:
        try:
            LocalLauncher().launch(["true"], tmp_path, {}, "one")
        except StudyError as error:
            errors.append(error)

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_one_coordinator_a_study(tmp_path: Path) -> None:
    with (
        only_coordinator(tmp_path),
        pytest.raises(StudyError, match=f"process {os.getpid()} on "),
        only_coordinator(tmp_path),
    ):
        pass
    with only_coordinator(tmp_path):  # freed again
        assert (tmp_path / "coordinator.json").exists()
    assert not (tmp_path / "coordinator.json").exists()
