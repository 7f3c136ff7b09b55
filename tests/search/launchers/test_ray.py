"""Studies on a real Ray cluster of two nodes, one of which goes away. Only the trainer is a stand-in."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import ConfigError, StudyError
from pld_search.host.processes import marked
from pld_search.records import jsonl
from pld_search.records.study_record import view
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.ray import RayLauncher, open_ray
from pld_search.specs.launcher_settings import Ray
from tests.search.fake_trainer import EVERY
from tests.search.launchers.clusters import Nodes, cluster
from tests.search.studies import check_ended_once, run, small_study

STUDY = "systems:\n  full: {schedule: full, seeds: 2}\n  pld: {schedule: pld, seeds: 2}\nreference: full\n"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster(1) as found:
        yield found


def machine(nodes: Nodes, **more: Any) -> dict[str, Any]:
    return {"launcher": "ray", "ray": {"address": nodes.address}, "retries": 0, **more}


def exits(folder: Path) -> list[dict[str, Any]]:
    return [record for record in jsonl.read(folder / "study.jsonl") if record["event"] == "exited"]


def half_way(runs: int) -> Callable[[Path], bool]:
    return lambda folder: sum(record.step >= 2 * EVERY for record in view(folder).runs.values()) >= runs


class Once:
    """An observer that acts once, as soon as the study in its folder is so far."""

    def __init__(self, act: Callable[[], object], when: Callable[[Path], bool]) -> None:
        self._act, self._when, self.done = act, when, False

    def notice(self, folder: Path) -> None:
        if not self.done and self._when(folder):
            self.done = True
            self._act()

    def close(self, folder: Path) -> None:
        pass


def test_the_runs_of_a_lost_node_go_on_elsewhere(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WAIT", str(tmp_path / "go"))
    folder, second = tmp_path / "small", nodes.add()
    power_cut = Once(lambda: nodes.lose(second), half_way(2))
    seen = Once(
        (tmp_path / "go").touch, lambda folder: any(record["outcome"] == "lost_node" for record in exits(folder))
    )
    assert run(small_study(tmp_path, STUDY, "1e-3"), folder, 2, machine(nodes), observers=[power_cut, seen]) == 0
    assert power_cut.done and seen.done
    found = check_ended_once(folder)
    outcomes = [record["outcome"] for record in exits(folder)]
    assert sorted(outcomes) == ["finished"] * 4 + ["lost_node"]
    lost = next(record for record in exits(folder) if record["outcome"] == "lost_node")
    resumed = found.runs[lost["trial"], lost["seed_index"]]
    assert resumed.resumed_from
    assert min(resumed.resumed_from) >= 2 * EVERY  # from the checkpoint, not from the beginning
    # with `retries: 0` it would have ended the trial
    assert found.study.trials[lost["trial"]].launches[lost["seed_index"]].failures == 0
    assert {record["launcher"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "launched"} == {
        "ray"
    }


def test_a_crash_is_the_run_s_own(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KILL_ONCE", "1")
    folder = tmp_path / "small"
    study = small_study(tmp_path, "systems:\n  full: {schedule: full}\nreference: full\n", "1e-3")
    assert run(study, folder, 1, machine(nodes, retries=1)) == 0
    assert [record["outcome"] for record in exits(folder)] == ["killed", "finished"]
    assert view(folder).study.trials[0].launches[0].failures == 1


def test_a_study_moves_to_the_cluster_with_its_folder(
    tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped half way on this machine, moved, continued by Ray with two ranks a run, stopped there, ended here."""
    monkeypatch.setenv("FAKE_WAIT", str(tmp_path / "go"))
    study = small_study(tmp_path, STUDY, "1e-3")
    first, second = tmp_path / "here", tmp_path / "elsewhere" / "there"
    stop = Once(lambda: os.kill(os.getpid(), signal.SIGTERM), half_way(2))
    assert run(study, first, 2, observers=[stop]) == 143
    second.parent.mkdir()
    first.rename(second)
    stop = Once(lambda: os.kill(os.getpid(), signal.SIGTERM), half_way(3))
    two = nodes.add(2)
    assert run(study, second, 1, machine(nodes, gpus_per_run=2), observers=[stop]) == 143
    nodes.lose(two)
    assert stop.done
    (tmp_path / "go").touch()
    assert run(study, second, 2) == 0
    found = check_ended_once(second)
    launchers = {record["launcher"] for record in jsonl.read(second / "study.jsonl") if record["event"] == "launched"}
    assert launchers == {"local", "ray"}
    for record in found.runs.values():
        assert record.executed_steps == 40  # a stop ends in a checkpoint: nothing was done twice
    assert "failed" not in {record["outcome"] for record in exits(second)}


@pytest.fixture
def launcher(nodes: Nodes) -> Iterator[RayLauncher]:
    opened = open_ray(Ray(address=nodes.address), 1, gpus=False)
    yield opened
    opened.close()


def ended(job: Any) -> int:
    limit = time.monotonic() + 60
    while (code := job.poll()) is None:
        assert time.monotonic() < limit
        time.sleep(0.02)
    return int(code)


def test_jobs_are_told_apart_by_their_end(tmp_path: Path, launcher: RayLauncher) -> None:
    code = "import os, sys; print(os.environ['WORD'], flush=True); sys.exit(7)"
    job = launcher.launch([sys.executable, "-c", code], tmp_path, {"WORD": "given"}, "run-1")
    assert (ended(job), job.verdict) == (7, None)
    assert (tmp_path / "run.log").read_text() == "given\n"
    missing = launcher.launch(["true"], tmp_path / "not-shared", {}, "run-2")
    assert ended(missing) == 1
    assert missing.verdict is not None
    assert missing.verdict.startswith("crashed: the node cannot start it")
    sleeper = launcher.launch(["sleep", "60"], tmp_path, {}, "run-3")
    until(lambda: not sleeper.waiting, sleeper)
    waits = launcher.launch(["sleep", "60"], tmp_path, {}, "run-4")  # there is one core, and it is taken
    waits.stop()
    assert (ended(waits), waits.verdict) == (-15, "stopped: it had not begun")
    sleeper.stop()
    assert (ended(sleeper), sleeper.verdict) == (-15, None)


def test_survivors_are_ended(tmp_path: Path, launcher: RayLauncher) -> None:
    job = launcher.launch([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, {}, "run-5")
    until(lambda: not job.waiting, job)
    launcher.end_survivors(
        [(tmp_path, LaunchRecord(launcher="ray", **job.trace)), (tmp_path, LaunchRecord(launcher="ray", job="gone"))]
    )
    assert ended(job) == -9


MEETS = """
import os, pathlib, socket, sys, time
node, port = os.environ["PET_NODE_RANK"], int(os.environ["PET_MASTER_PORT"])
print(node, "of", os.environ["PET_NNODES"], flush=True)
if node == "0":
    with socket.create_server((os.environ["PET_MASTER_ADDR"], port)) as server:
        server.accept()[0].sendall(b"hello")
else:
    for attempt in range(300):
        try:
            print(socket.create_connection((os.environ["PET_MASTER_ADDR"], port)).recv(9).decode(), flush=True)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
if pathlib.Path(sys.argv[1]).exists():
    sys.exit(int(node))
pathlib.Path(sys.argv[1] + node).touch()
time.sleep(60)
"""


def test_a_run_over_two_nodes_meets_at_the_first_and_ends_as_one(tmp_path: Path, nodes: Nodes) -> None:
    with pytest.raises(ConfigError, match=r"fewer than 2 nodes of the Ray cluster have room.*1 CPU on each"):
        open_ray(Ray(address=nodes.address, nodes=2), 2, gpus=False)
    second = nodes.add()
    launcher = open_ray(Ray(address=nodes.address, nodes=2), 2, gpus=False)
    try:
        command = [sys.executable, "-c", MEETS, str(tmp_path / "short")]
        both = [tmp_path / "short0", tmp_path / "short1"]
        stopped = launcher.launch(command, tmp_path, {}, "stopped")
        until(lambda: all(each.exists() for each in both), stopped)
        stopped.stop()
        assert (ended(stopped), stopped.verdict) == (-15, None)
        assert sorted((tmp_path / "run.log").read_text().split("\n")) == ["", "0 of 2", "1 of 2", "hello"]
        (tmp_path / "short").touch()
        one_fails = launcher.launch(command, tmp_path, {}, "fails")
        assert (ended(one_fails), one_fails.verdict) == (0, None)  # the first rank's word counts
        (tmp_path / "short").unlink()
        for each in both:
            each.unlink()
        cut = launcher.launch(command, tmp_path, {}, "cut")
        until(lambda: all(each.exists() for each in both), cut)
        nodes.lose(second)
        assert ended(cut) == -9
        assert (cut.verdict or "").startswith("lost_node: ")
        # nothing of it goes on where the node is well
        assert not [process for process, folder in marked() if folder.startswith(str(tmp_path))]
    finally:
        launcher.close()


def until(condition: Callable[[], bool], job: Any) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert job.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_what_a_cluster_cannot_give_is_said_at_once(nodes: Nodes) -> None:
    with pytest.raises(ConfigError, match=r"no node of the Ray cluster has room for one run.*64 CPU"):
        open_ray(Ray(address=nodes.address, cpus_per_rank=32), 2, gpus=False)
    with pytest.raises(ConfigError, match="1 GPU"):
        open_ray(Ray(address=nodes.address), 1, gpus=True)


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with pytest.raises(StudyError, match="no Ray cluster answers at nonsense"):
        open_ray(Ray(address="nonsense"), 1, gpus=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'ray>=2"):
        open_ray(Ray(), 1, gpus=False)
