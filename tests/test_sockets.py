"""What listens while our commands run: nothing outside the loopback, so that nobody on the network reaches it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from pld_search.records.study_record import view
from tests.search.real_studies import real_study
from tests.sockets import Listener, listeners

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parent.parent
MACHINE = """
{device: cpu, threads: 1, slots: 1, gpus_per_run: 2, retries: 0, speed_probes: 0, log_points: 10000,
runs: runs, cache: cache}
"""
ON_RAY = """
import json, os, sys, time
from pathlib import Path
from pld_search.search.launchers.ray import open_ray
from pld_search.specs.launcher_settings import Ray
from tests.sockets import listeners
launcher = open_ray(Ray(address="local"), 1, gpus=False)
job = launcher.launch(["sleep", "60"], Path(sys.argv[1]), {}, "run")
while job.poll() is None and job.waiting:
    time.sleep(0.1)
found = sorted(listeners(os.getpid()))
job.kill()
launcher.close()
print(json.dumps(found))
"""


@contextmanager
def going(words: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in `folder` that is ended, with all that it has started, at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < limit, log.read_text()[-4000:]
        time.sleep(0.2)


def check(found: set[Listener]) -> None:
    assert found, "nothing listens, so nothing was looked at"
    assert [each for each in found if not each.on_loopback] == []


def test_a_study_whose_runs_have_two_ranks(tmp_path: Path) -> None:
    real_study(tmp_path, 50_000, systems=1)
    (tmp_path / "machine.yaml").write_text(MACHINE)

    def trains() -> bool:
        runs = view(tmp_path / "runs" / "tiny").runs if (tmp_path / "runs" / "tiny" / "study.jsonl").exists() else {}
        return any(record.step >= 5 for record in runs.values())

    with going(["-m", "pld_search", "run", "tiny.yaml"], tmp_path) as process:
        wait_for(trains, process, tmp_path / "log")
        check(listeners(process.pid))


def test_the_ui(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    with going(["-m", "pld_search", "ui", "--port", str(port), "--tracking-uri", store], tmp_path) as process:
        wait_for(answers, process, tmp_path / "log")
        found = listeners(process.pid)
    assert port in {each.port for each in found}
    check(found)


def test_ray_on_this_machine(tmp_path: Path) -> None:
    """A cluster of its own, the coordinator's part in it, and a run."""
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    with going(["-c", ON_RAY, str(tmp_path)], tmp_path) as process:
        process.wait(timeout=300)
        lines = (tmp_path / "log").read_text().splitlines()
        assert process.returncode == 0, lines
    check({Listener(*each) for each in json.loads(lines[-1])})
