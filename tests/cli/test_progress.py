from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pld_search.app.standing_text import bar, line, summary
from pld_search.app.study_status import Reader, Standing, whole
from pld_search.cli.progress import Progress
from pld_search.cli.status_table import SHOWN, chosen, table
from pld_search.records import run_record
from pld_search.records.events import (
    CheckpointWritten,
    RunFinished,
    RunPaused,
    RunProgress,
    RunResumed,
    RunStarted,
    TaskScored,
)
from pld_search.records.run_record import RunWriter
from pld_search.records.study_events import RunExited, RunLaunched, StudyCreated, TrialAsked
from pld_search.records.study_record import StudyWriter, trial_folder

RUN = Standing(0, 0, "pld", "pld", "running", 100, 400, 5.912, 32.4)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def begun(folder: Path, clock: Clock) -> RunWriter:
    records = StudyWriter(folder / "study.jsonl", clock=clock)
    records.write(StudyCreated(id="1", name="x", definition={}, identity={}))
    records.write(TrialAsked(trial=0, kind="system", system="pld", seeds=[0], steps=100, schedule="pld", digest="d"))
    records.write(RunLaunched(trial=0, seed_index=0, launch=1, pid=1, process_started=0.0, slot=0, command=[]))
    records.close()
    writer = RunWriter(trial_folder(folder, 0, 0) / "events.jsonl", clock=clock)
    writer.emit(RunStarted(0, experiment={}, seed=0, digest="d"))
    return writer


def test_a_line_says_state_step_loss_and_time_left() -> None:
    assert line(RUN) == "pld seed 0: running, step 100 of 400, loss 5.912, 32 s left"
    assert (
        line(replace(RUN, state="failed", eta=None, reason="out of memory"))
        == "pld seed 0: failed, step 100 of 400, loss 5.912, out of memory"
    )


def test_one_line_for_the_whole_study() -> None:
    """Three runs of 4 FLOPs and one of 8, of which one has ended and one is halfway with 60 s left: 6 of 20 are done,
    and 2 FLOPs in 60 s make 14 in 420 s.
    """
    one = replace(RUN, step=200, flops=4.0, eta=60.0)
    runs = [replace(one, state="finished", step=400, eta=None), one, replace(one, state="waiting", step=0, eta=None)]
    runs.append(replace(runs[2], flops=8.0))
    found = whole("demo", runs)
    assert (found.ended, found.runs, found.eta) == (1, 4, 420.0)
    assert summary(found) == "demo ━━━╌╌╌╌╌╌╌╌╌ 1 of 4 runs · 30 % of the FLOPs · ~7 min left"
    assert summary(whole("demo", runs, 6)).startswith("demo ━━╌╌╌╌╌╌╌╌╌╌ 1 of 6 runs · 20 % of the FLOPs")
    assert summary(whole("demo", [])) == "demo ╌╌╌╌╌╌╌╌╌╌╌╌ 0 of 0 runs"


def test_a_plain_line_for_every_quarter_and_every_end(tmp_path: Path) -> None:
    clock, out = Clock(), io.StringIO()
    writer, shown = begun(tmp_path, clock), Progress(out, clock, live=False)
    for step in range(10, 101, 10):
        clock.now += 10
        writer.emit(RunProgress(step, metrics={"train/loss": 7 - step / 100}))
        shown.notice(tmp_path)
    writer.emit(RunFinished(100, metrics={"valid/loss": 5.5}, timing={}))
    writer.close()
    shown.close(tmp_path)
    assert out.getvalue().splitlines() == [
        "pld seed 0: running, step 10 of 100, train loss 6.900, 90 s left",
        "pld seed 0: running, step 30 of 100, train loss 6.700, 70 s left",
        "pld seed 0: running, step 50 of 100, train loss 6.500, 50 s left",
        "pld seed 0: running, step 80 of 100, train loss 6.200, 20 s left",
        "pld seed 0: evaluating, step 100 of 100, train loss 6.000",
        "pld seed 0: finished, step 100 of 100, valid loss 5.500",
        "x ━━━━━━━━━━━━ 1 of 1 runs",
    ]


def test_what_an_evaluating_run_does(tmp_path: Path) -> None:
    clock = Clock()
    writer = begun(tmp_path, clock)
    tasks = [{"name": "older"}, {"name": "newer"}]
    writer.emit(RunStarted(0, experiment={"evaluation": {"tasks": tasks, "seeds": 2}}, seed=0, digest="d"))
    writer.emit(RunProgress(100, metrics={"train/loss": 6.0}))
    said = []
    for task, seed in (("older", 0), ("older", 1), ("newer", 0), ("newer", 1)):
        said.append(line(*Reader(clock).read(tmp_path)))
        writer.emit(TaskScored(100, suite="demo", task=task, seed=seed, scores={"accuracy": 0.5}))
    said.append(line(*Reader(clock).read(tmp_path)))
    writer.close()
    doing = [each.split(", step")[0].removeprefix("pld seed 0: ") for each in said]
    assert doing[:3] == ["evaluating older, 1 of 4", "evaluating older, 2 of 4", "evaluating newer, 3 of 4"]
    assert doing[3:] == ["evaluating newer, 4 of 4", "evaluating"]


def test_a_run_at_a_rung_is_not_said_to_pause_while_its_branch_is_trained(tmp_path: Path) -> None:
    clock = Clock()
    writer = begun(tmp_path, clock)
    writer.emit(RunPaused(40, until=40))
    writer.close()
    records = StudyWriter(tmp_path / "study.jsonl", clock=clock)
    states = []
    for part in ({"until": 40}, {"branch": 40}, {}):
        records.write(
            RunLaunched(trial=0, seed_index=0, launch=1, pid=1, process_started=0.0, slot=0, command=[], **part)
        )
        states.append(Reader(clock).read(tmp_path)[0].state)
        outcome = "branched" if "branch" in part else "paused"
        records.write(
            RunExited(trial=0, seed_index=0, launch=1, code=0, outcome=outcome, reason=None, lines=[], seconds=1.0)
        )
        states.append(Reader(clock).read(tmp_path)[0].state)
    records.close()
    assert states == ["starting", "paused", "branching", "paused", "starting", "paused"]


def test_the_time_left_counts_from_where_a_run_was_resumed(tmp_path: Path) -> None:
    clock = Clock()
    writer = begun(tmp_path, clock)
    writer.emit(CheckpointWritten(50, folder="x"))
    writer.close()
    writer = RunWriter(trial_folder(tmp_path, 0, 0) / "events.jsonl", clock=clock)
    writer.emit(RunStarted(50, experiment={}, seed=0, digest="d"))
    writer.emit(RunResumed(50, from_step=50))
    clock.now += 10
    writer.emit(RunProgress(60, metrics={"train/loss": 6.0}))
    writer.close()
    (run,) = Reader(clock).read(tmp_path)
    assert run.eta == 40


def test_files_that_do_not_grow_are_not_folded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    begun(tmp_path, clock).close()
    folded: list[Path] = []
    read = run_record.read_run_events
    monkeypatch.setattr(run_record, "read_run_events", lambda path: folded.append(path) or read(path))
    reader = Reader(clock)
    first, second = reader.read(tmp_path), reader.read(tmp_path)
    assert first == second
    assert len(folded) == 1


def test_looks_are_half_a_second_apart(tmp_path: Path) -> None:
    clock, out = Clock(), io.StringIO()
    writer, shown = begun(tmp_path, clock), Progress(out, clock, live=False)
    shown.notice(tmp_path)
    writer.emit(RunFinished(100, metrics={}, timing={}))
    clock.now += 0.1
    shown.notice(tmp_path)
    assert "finished" not in out.getvalue()
    clock.now += 0.5
    shown.notice(tmp_path)
    assert "finished" in out.getvalue()
    writer.close()


def test_the_live_table_is_drawn_and_left_on_the_screen(tmp_path: Path) -> None:
    clock, out = Clock(), io.StringIO()
    begun(tmp_path, clock).close()
    shown = Progress(out, clock, live=True)
    shown.notice(tmp_path)
    shown.close(tmp_path)
    assert "pld seed 0" in out.getvalue()
    assert "1 running" in out.getvalue()


def test_an_observer_never_raises(tmp_path: Path) -> None:
    (tmp_path / "study.jsonl").write_text("not json\n")
    Progress(io.StringIO(), Clock(), live=False).close(tmp_path)


def test_of_many_runs_those_going_on_and_the_latest_are_shown() -> None:
    runs = [replace(RUN, trial=n, state="finished") for n in range(30)] + [
        replace(RUN, trial=30),
        replace(RUN, trial=31, state="waiting"),
    ]
    shown = chosen(runs)
    assert len(shown) == SHOWN
    assert [run.trial for run in shown] == [*range(30 - SHOWN + 1, 30), 30]
    assert table(runs).row_count == SHOWN


@pytest.mark.parametrize("width", [80, 120])
def test_a_run_is_one_line_of_the_terminal_however_long_its_values(width: int) -> None:
    values = "falling, lr=0.00011, end=0.616, rate=737, warmup=10 %, decay=20 %, and what else was sampled"
    runs = [replace(RUN, trial=number, schedule=values) for number in range(3)]
    out = io.StringIO()
    Console(file=out, width=width).print(table(runs, width))
    lines = [line.rstrip() for line in out.getvalue().splitlines() if "running" in line and "seed" in line]
    assert len(lines) == 3
    assert all(len(line) <= width and "falling, lr" in line and "…" in line for line in lines)
    assert ("━" in lines[0]) == (width == 120)


def test_bars() -> None:
    assert bar(0, 10, 4) == "╌╌╌╌"
    assert bar(5, 10, 4) == "━━╌╌"
    assert bar(99, 10, 4) == "━━━━"
    assert bar(3, None, 2) == "╌╌"


def test_the_whole_counts_systems_and_trials_that_were_not_asked_yet(tmp_path: Path) -> None:
    """Two seeds of two systems, one of each of three sampled trials; nothing was asked but the first system."""
    definition = {"systems": [{"name": "pld0"}, {"name": "full"}], "seeds": 2, "search": {"trials": 3, "seeds": 1}}
    writer = StudyWriter(tmp_path / "study.jsonl")
    writer.write(StudyCreated(id="a", name="s", definition=definition, identity={}))
    reader = Reader()
    standings = reader.read(tmp_path)
    assert (standings, reader.whole(standings).runs) == ([], 2 * 2 + 3)
