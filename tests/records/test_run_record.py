"""The fold of a run's events: what a resume drops, what was executed, what `final` holds."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.records import jsonl
from pld_search.records.events import RunProgress, RunStarted, run_events
from pld_search.records.run_record import RunWriter, fold, fold_run, surviving


class Script:
    """Builds events the way a training process writes them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.attempt = 0

    def add(self, event: str, step: int = 0, **fields: Any) -> None:
        self.events.append(
            {
                "event": event,
                "attempt": self.attempt,
                "seq": len(self.events),
                "step": step,
                "time": float(len(self.events)),
                **fields,
            }
        )

    def start(self, from_step: int | None = None) -> None:
        self.attempt += 1
        self.add("started", digest="sha256:x")
        if from_step is not None:
            self.add("resumed", from_step, from_step=from_step)

    def train(self, first: int, last: int) -> None:
        for step in range(first + 1, last + 1):
            self.add(
                "progress",
                step,
                metrics={"train/loss": loss_at(step)},
                timing={"progress/seconds": 0.1 * len(self.events)},
            )


def loss_at(step: int) -> float:
    return 6.0 - step / 100


def test_an_empty_file_is_a_new_run() -> None:
    record = fold([])
    assert (record.state, record.step, record.executed_steps, record.ended) == ("new", 0, 0, False)


attempts = st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1)), min_size=1, max_size=5)


@given(attempts)
def test_whatever_is_killed_and_resumed_the_series_is_that_of_one_straight_run(drawn: list[tuple[int, float]]) -> None:
    """Every attempt resumes at or before the step the last one reached, as from a checkpoint, and trains some more."""
    script, reached, executed = Script(), 0, 0
    for index, (steps, share) in enumerate(drawn):
        begin = int(reached * share) if index else 0
        script.start(begin if index else None)
        script.train(begin, begin + steps)
        reached, executed = begin + steps, executed + steps
    record = fold(run_events(script.events))
    assert record.series.get("train/loss", []) == [(step, loss_at(step)) for step in range(1, reached + 1)]
    assert record.executed_steps == executed
    assert record.step == reached
    assert record.attempt == len(drawn)
    assert record.state == "running"


def test_the_last_attempt_decides_the_state() -> None:
    script = Script()
    script.start()
    script.train(0, 3)
    script.add("failed", 3, reason="out of memory", kind="out_of_memory")
    assert (fold(run_events(script.events)).state, fold(run_events(script.events)).kind) == ("failed", "out_of_memory")
    script.start(2)
    assert (fold(run_events(script.events)).state, fold(run_events(script.events)).reason) == ("running", None)
    script.train(2, 4)
    script.add("stopped", 4, reason="SIGTERM")
    assert not fold(run_events(script.events)).ended
    script.start(4)
    script.add("diverged", 5, reason="the loss was not finite for 20 steps", first_bad_step=5)
    record = fold(run_events(script.events))
    assert record.ended
    assert (record.state, record.resumed_from) == ("diverged", [2, 4])


def test_a_summary_is_final_but_not_a_point_of_the_series_it_sums_up() -> None:
    script = Script()
    script.start()
    script.add("progress", 5, metrics={"drop/layers_kept": 3.0, "train/loss": 5.0})
    script.add("progress", 10, metrics={"drop/layers_kept": 2.0, "train/loss": 4.0})
    script.add("finished", 10, metrics={"drop/layers_kept": 2.5, "saved/flops": 0.25}, timing={"speed/relative": 1.2})
    record = fold(run_events(script.events))
    assert record.series["drop/layers_kept"] == [(5, 3.0), (10, 2.0)]
    assert record.series["saved/flops"] == [(10, 0.25)]
    assert record.final == {"drop/layers_kept": 2.5, "train/loss": 4.0, "saved/flops": 0.25, "speed/relative": 1.2}
    assert "speed/relative" not in record.series


def test_the_same_evaluation_written_again_after_a_resume_is_one_point() -> None:
    script = Script()
    script.start()
    script.add("evaluated", 10, metrics={"test/loss": 4.0})
    script.start(10)
    script.add("evaluated", 10, metrics={"test/loss": 4.0})
    assert fold(run_events(script.events)).series["test/loss"] == [(10, 4.0)]


def test_a_writer_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        writer = RunWriter(path, clock=lambda: 5.0)
        writer.emit(RunStarted(0))
        writer.emit(RunProgress(3, metrics={"train/loss": 1.0}), durable=True)
        writer.sync()
        writer.close()
    with path.open("a") as file:
        file.write('{"event": "torn')
    writer = RunWriter(path)
    writer.emit(RunStarted(0))
    writer.close()
    events = jsonl.read(path)
    assert [(event["attempt"], event["seq"]) for event in events] == [(1, 0), (1, 1), (2, 2), (2, 3), (3, 4)]
    assert fold_run(tmp_path).attempt == 3


@pytest.mark.parametrize("name", ["metrics", "timing"])
def test_nothing_but_numbers_of_json_is_written(tmp_path: Path, name: str) -> None:
    writer = RunWriter(tmp_path / "events.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        writer.emit(RunProgress(1, **{name: {"train/loss": float("nan")}}))
    writer.close()
    assert fold_run(tmp_path).state == "new"


def test_a_recovery_takes_the_run_back_within_its_attempt() -> None:
    script = Script()
    script.start()
    script.train(0, 6)
    script.add("paused", 6, until=6)
    script.start(4)
    script.train(4, 9)
    script.add(
        "recovered",
        4,
        from_step=4,
        noticed=10,
        policy="lower_lr",
        lr_factor=0.5,
        repeated_tflop=2.0,
        repeated_seconds=3.0,
    )
    script.train(4, 7)
    script.add("recovered", 2, from_step=2, policy="lower_lr", lr_factor=0.25, repeated_tflop=1.0, repeated_seconds=1.5)
    assert fold(run_events(script.events)).step == 2
    script.train(2, 8)
    record = fold(run_events(script.events))
    assert record.series["train/loss"] == [(step, loss_at(step)) for step in range(1, 9)]
    assert (record.step, record.executed_steps, record.resumed_from, record.pauses) == (8, 6 + 6 + 3 + 6, [4], [])
    assert [event.lr_factor for event in record.recoveries] == [0.25]
    assert (record.repeated_tflop, record.repeated_seconds) == (3.0, 4.5)
    script.start(1)
    assert fold(run_events(script.events)).recoveries == []


def test_a_growth_opens_the_step_that_follows_it() -> None:
    """A resume from its own step grows again: the event of the earlier attempt goes, where any other of that step
    stays.
    """
    script = Script()
    script.start()
    script.train(0, 8)
    script.add("checkpoint", 8)
    script.add("grown", 8, layers_from=3, layers_to=6, weights="stack", moments="copy")
    script.train(8, 9)
    assert fold(run_events(script.events)).grown == [(8, 6)]
    script.start(8)
    assert fold(run_events(script.events)).grown == []
    assert [event.NAME for event in surviving(run_events(script.events)) if event.step == 8] == [
        "progress",
        "checkpoint",
    ]
    script.add("grown", 8, layers_from=3, layers_to=6, weights="stack", moments="copy")
    script.train(8, 12)
    record = fold(run_events(script.events))
    assert (record.grown, record.step, record.executed_steps) == ([(8, 6)], 12, 13)
    script.start(10)
    script.train(10, 12)
    assert fold(run_events(script.events)).grown == [(8, 6)]
