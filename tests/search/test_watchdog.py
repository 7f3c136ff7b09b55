from __future__ import annotations

from pathlib import Path

from pld_search.search.watchdog import GRACE, Watch


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("line\n")


def test_a_run_that_writes_nothing_has_stalled(tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(tmp_path, None, 10, clock=clock)
    for sign in ("events.jsonl", "tasks/cola-0/events.jsonl", "run.log", "branches/10/events.jsonl"):
        clock.now += 10.5
        write(tmp_path / sign)
        assert watch.grew() == (sign == "events.jsonl")
        assert watch.verdict() is None
        clock.now += 9.5
        assert watch.verdict() is None
    clock.now += 1
    assert str(watch.verdict()).startswith("stalled: ")


def test_a_run_is_timed_over_its_launches(tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(tmp_path, 100, None, spent=60, clock=clock)
    clock.now += 39
    assert watch.verdict() is None
    clock.now += 2
    assert str(watch.verdict()).startswith("timed_out: ")
    assert watch.seconds == 41
    assert not watch.patience_ended()
    clock.now += GRACE + 1
    assert watch.patience_ended()


def test_without_limits_nothing_is_said(tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(tmp_path, None, None, clock=clock)
    clock.now += 1e9
    assert watch.verdict() is None
