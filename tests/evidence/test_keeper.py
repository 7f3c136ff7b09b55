"""The background runs whole blocks of seeds, and stops and goes on with everything below it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evidence import process_tree
from evidence.keeper import Keeper, seeds_asked, seeds_of
from evidence.places import Home
from pld_search.bench.quiet import Background, Locks, quiet

# A parent with a child, both counting in files of their own until a file says that it is enough.
COUNTS = """
import subprocess, sys, time
from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[2]
child = subprocess.Popen([sys.executable, __file__, folder, "child"]) if name == "parent" else None
while not (folder / "enough").exists():
    with (folder / name).open("a") as file:
        file.write(".")
    time.sleep(0.01)
if child:
    child.wait()
"""


def until(true: Callable[[], bool]) -> None:
    """Wait for something that must happen; the test's own timeout ends what never does."""
    while not true():
        time.sleep(0.02)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "counts.py").write_text(COUNTS)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "counts.py"), str(tmp_path), "parent"])
    until((tmp_path / "child").exists)
    yield parent
    (tmp_path / "enough").touch()
    process_tree.go_on(parent.pid)
    parent.wait()


def test_a_tree_stops_and_goes_on_as_one(tmp_path: Path, counting: subprocess.Popen[bytes]) -> None:
    pids = process_tree.tree(counting.pid)
    assert len(pids) == 2 and pids[0] == counting.pid
    process_tree.stop(counting.pid)
    until(lambda: all(state_of(pid) == "T" for pid in pids))
    sizes = [(tmp_path / name).stat().st_size for name in ("parent", "child")]
    time.sleep(0.1)
    assert [(tmp_path / name).stat().st_size for name in ("parent", "child")] == sizes
    process_tree.go_on(counting.pid)
    until(
        lambda: all(
            (tmp_path / name).stat().st_size > size for name, size in zip(("parent", "child"), sizes, strict=True)
        )
    )


def test_what_has_ended_has_no_tree() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_tree.tree(child.pid) == []


def home_with(folder: Path, seeds: int, *names: str) -> Home:
    home = Home(folder)
    for name in names:
        path = home.designs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name: {name}\nseeds: {seeds}   # of every system\n")
    return home


@contextmanager
def keeping(home: Home, locks: Locks, code: str) -> Iterator[tuple[Keeper, threading.Thread, list[str]]]:
    """A keeper whose studies are the Python program `code`, in a thread of its own."""
    lines: list[str] = []
    background = Background(locks)
    keeper = Keeper(
        home,
        background,
        lambda study, seeds: [sys.executable, "-c", code, str(study), str(seeds)],
        lines.append,
        poll=0.02,
    )
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        yield keeper, thread, lines
    finally:
        keeper.end()
        thread.join()
        background.close()


def test_all_systems_at_one_seed_before_the_next_and_one_stage_before_the_next(tmp_path: Path) -> None:
    home = home_with(tmp_path, 2, "a/study.yaml", "c/block-0.yaml")
    code = f"import sys; print(*sys.argv[1:], file=open({str(tmp_path / 'called')!r}, 'a'))"
    with keeping(home, Locks(tmp_path), code) as (_, thread, _lines):
        thread.join()
    called = [line.removeprefix(f"{home.designs}/") for line in (tmp_path / "called").read_text().splitlines()]
    assert called == ["a/study.yaml 1", "a/study.yaml 2", "c/block-0.yaml 1", "c/block-0.yaml 2"]


def test_the_variables_of_the_shell_do_not_reach_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    home = home_with(tmp_path, 1, "a/study.yaml")
    code = (
        "import os; print(os.environ.get('PYTHONPATH'), os.environ['OMP_NUM_THREADS'], "
        f"file=open({str(tmp_path / 'seen')!r}, 'w'))"
    )
    with keeping(home, Locks(tmp_path), code) as (_, thread, _lines):
        thread.join()
    assert (tmp_path / "seen").read_text() == "None 1\n"


COUNTING = (
    "import os, sys, time; from pathlib import Path; folder = Path(sys.argv[1]).parents[2]; (folder / "
    "'pid').write_text(str(os.getpid()))\n"
    + ("while True:\n    with (folder / 'ticks').open('a') as file: file.write('.')\n    time.sleep(0.01)")
)


def test_it_stops_for_whoever_asks_and_goes_on_after(tmp_path: Path) -> None:
    home, locks = home_with(tmp_path, 1, "a/study.yaml"), Locks(tmp_path)
    ticks = tmp_path / "ticks"
    with keeping(home, locks, COUNTING):
        until(ticks.exists)
        with quiet(locks, patience=60, tell=pytest.fail), quiet(locks, patience=60, tell=pytest.fail):
            pid = int((tmp_path / "pid").read_text())
            assert state_of(pid) == "T"  # it has stopped by the time the context begins
            size = ticks.stat().st_size
            time.sleep(0.1)
            assert ticks.stat().st_size == size
        until(lambda: ticks.stat().st_size > size)
        home.paused.touch()  # by hand
        until(lambda: state_of(pid) == "T")
        home.paused.unlink()
        until(lambda: state_of(pid) != "T")
        home.paused.touch()
        until(lambda: state_of(pid) == "T")  # and a paused one ends when it is told to
    assert not Path(f"/proc/{pid}").exists()


def test_who_measures_goes_on_when_the_background_does_not_stop(tmp_path: Path) -> None:
    locks, lines = Locks(tmp_path), list[str]()
    background = Background(locks)
    assert background.begin() and background.begin()
    with quiet(locks, patience=0.1, tell=lines.append):
        assert len(lines) == 1 and "did not stop" in lines[0]
        assert background.asked()
    assert not background.asked()
    background.close()


def test_the_background_does_not_begin_while_somebody_measures(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    background = Background(locks)
    with quiet(locks, tell=pytest.fail):
        assert background.asked() and not background.begin()
    assert background.begin()
    background.end()
    background.close()


def test_seeds_are_read_from_the_file_and_from_the_records(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("name: x\nseeds: 4      # of every row\n")
    assert seeds_of(file) == 4
    file.write_text("name: x\n")
    assert seeds_of(file) == 1
    assert seeds_asked(tmp_path / "none") == 0
    events = [
        {"event": "created", "definition": {"seeds": 1}},
        {"event": "opened", "definition": {"seeds": 3}},
        {"event": "completed"},
    ]
    (tmp_path / "study.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events) + '{"event": "opened", "def'
    )
    assert seeds_asked(tmp_path) == 3


def test_a_command_runs_on_a_quiet_machine_and_its_code_is_kept(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pld_search.bench.quiet", sys.executable, "-c", "raise SystemExit(7)"],
        env=environment,
        check=False,
    )
    assert done.returncode == 7
