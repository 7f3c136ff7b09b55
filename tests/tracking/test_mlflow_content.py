from __future__ import annotations

from pathlib import Path

from pld_search.records.events import RunEvaluated, RunFinished, RunResumed, StackGrown, read_run_events, run_events
from pld_search.tracking.mlflow_content import MAX_KEYS, MAX_POINTS, flat, points, superseded
from tests.tracking.studies import run, train


def test_points_leave_out_what_a_resume_superseded(tmp_path: Path) -> None:
    first = run(tmp_path)
    train(first, 0, 80)
    second = run(tmp_path)
    second.emit(RunResumed(50, from_step=50))
    train(second, 50, 100)
    events = read_run_events(second._writer.path)
    losses = [(point.step, point.value) for point in points(events) if point.key == "train/loss"]
    assert losses == [(s, 7 - s / 100 + (1 if s <= 50 else 2)) for s in range(10, 101, 10)]
    # what the end sums up has its last point once the run has finished
    assert {p.step for p in points(events) if p.key == "progress/tokens"} == set(range(10, 100, 10))


def test_the_last_point_is_what_the_end_of_the_run_says(tmp_path: Path) -> None:
    train(writer := run(tmp_path), 0, 100)
    writer.emit(RunFinished(100, metrics={"progress/tokens": 12_000}, timing={"progress/seconds": 11.5}))
    events = read_run_events(writer._writer.path)
    last = {point.key: (point.step, point.value, point.seq) for point in points(events)}
    assert last["progress/tokens"] == (100, 12_000, events[-1].seq)
    assert last["progress/seconds"] == (100, 11.5, events[-1].seq)
    assert last["valid/loss"][:2] == (100, 5.0)


def test_the_last_loss_is_that_of_the_sequences_that_the_end_reads(tmp_path: Path) -> None:
    train(writer := run(tmp_path), 0, 100)
    writer.emit(RunEvaluated(100, metrics={"valid/loss": 5.1, "test/loss": 5.2}))
    losses = [point for point in points(read_run_events(writer._writer.path)) if point.key == "valid/loss"]
    assert losses
    assert losses[-1].step < 100  # it waits for the end: MLflow takes no point back
    writer.emit(RunFinished(100, metrics={}))
    events = read_run_events(writer._writer.path)
    found = [(point.step, point.value) for point in points(events) if point.key == "valid/loss"]
    assert found == [*((point.step, point.value) for point in losses), (100, 5.1)]


def test_superseded_only_when_shown_points_were_dropped(tmp_path: Path) -> None:
    first = run(tmp_path)
    train(first, 0, 80)
    shown = len(read_run_events(first._writer.path))
    second = run(tmp_path)
    second.emit(RunResumed(50, from_step=50))
    events = read_run_events(second._writer.path)
    assert superseded(events, shown)
    assert not superseded(events, 0)
    assert not superseded(events, len(events))
    until_50 = next(event.seq for event in events if event.NAME == "checkpoint") + 1
    assert not superseded(events, until_50)
    assert superseded(events[:3], shown)


def test_points_and_keys_are_bounded_and_stay_as_the_run_grows() -> None:
    started = {"event": "started", "attempt": 1, "seq": 0, "step": 0, "time": 1.0}
    experiment = {"steps": 10_000, "batch": {"sequences": 1}, "data": {"length": 1}}
    events = [{**started, "experiment": experiment}]
    for step in range(1, 10_001):
        metrics = (
            {f"train/k{i}": 1.0 for i in range(MAX_KEYS + 5)}
            if step == 1
            else {"train/loss" if step % 2 else "train/k0": 1.0}
        )
        events.append(
            {
                "event": "progress",
                "attempt": 1,
                "seq": step,
                "step": step,
                "time": 1.0,
                "metrics": metrics | {"layers/1": 0.5},
            }
        )
    typed = run_events(events)
    all_points = points(typed)
    by_key = {key: [p for p in all_points if p.key == key] for key in {p.key for p in all_points}}
    assert "layers/1" not in by_key
    assert len(by_key) == MAX_KEYS
    assert max(len(found) for found in by_key.values()) <= MAX_POINTS
    assert by_key["train/k0"][-1].step == 10_000
    half = points(typed[:5000])
    assert half == all_points[: len(half)]


def test_flat_gives_dotted_text() -> None:
    assert flat({"a": {"b": 1, "c": None}, "d": [1, 2], "e": True}) == {"a.b": "1", "d": "[1,2]", "e": "true"}


def test_a_growth_leaves_the_points_as_they_are(tmp_path: Path) -> None:
    writer = run(tmp_path)
    train(writer, 0, 50)
    writer.emit(StackGrown(50, layers_from=3, layers_to=6, weights="stack", moments="copy"))
    train(writer, 50, 100)
    events = read_run_events(writer._writer.path)
    without = [event for event in events if event.NAME != "grown"]
    assert [(p.key, p.step, p.value) for p in points(events)] == [(p.key, p.step, p.value) for p in points(without)]
