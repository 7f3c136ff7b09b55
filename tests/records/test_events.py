"""Lines and events of both files: what is written, what is read leniently, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import StudyError
from pld_search.records import events, jsonl, study_events
from pld_search.records.event_lines import Event
from pld_search.records.events import (
    RunFailed,
    RunProgress,
    RunRecovered,
    RunResumed,
    RunStarted,
    StackGrown,
    TaskScored,
    UnknownRunEvent,
    WrittenSchedule,
    run_event,
)
from pld_search.records.run_record import RunWriter, fold, fold_run
from pld_search.records.study_events import (
    RunExited,
    RunLaunched,
    RunLaunching,
    RunReused,
    StorageChanged,
    StudyCreated,
    StudyPrepared,
    TrialAsked,
    TrialRetried,
    UnknownStudyEvent,
    study_event,
)
from pld_search.records.study_record import fold as fold_study_events

SOME: list[Event] = [
    RunStarted(0, experiment={"steps": 5}, seed=1, digest="sha256:x", provenance={"commit": None}),
    RunStarted(0, suite="demo", task="sort", seed=1, digest="sha256:t"),
    RunResumed(4, from_step=4, repeated_tflop=0.0, changed={"threads": [1, 2]}),
    RunRecovered(4, policy="lower_lr", from_step=4, kind="loss_spike", noticed=9, precision="bf16", count=1),
    RunProgress(3, metrics={"train/loss": 1.5}, timing={}),
    StackGrown(3, layers_from=3, layers_to=6, weights="stack", moments="copy"),
    TaskScored(9, suite="demo", task="sort", seed=0, scores={"accuracy": 0.5}),
    RunFailed(9, kind="crashed", reason="ValueError: no", lines=["a"]),
    TrialAsked(0, "sampled", None, number=3, seeds=[0], rungs=[], problem="no", constraints={"cannot be built": 1.0}),
    RunLaunching(0, 1, 2, launcher="slurm", name="n", slot=0, command=["x"]),
    RunLaunched(0, 1, 2, job="17"),
    RunExited(0, 1, 2, code=None, outcome="killed", lines=[], seconds=1.5),
    RunReused(0, 1, (4, 2)),
    TrialRetried(0, number=None),
    TrialRetried(0, seeds=[1000]),
    StorageChanged(away=False),
]


def read_back(event: Event) -> Event:
    line = json.loads(jsonl.line(event.record()))
    return study_event(line) if isinstance(event, study_events.StudyEvent) else run_event(line)


@pytest.mark.parametrize("event", SOME, ids=lambda event: event.NAME)
def test_what_is_written_is_read(event: Event) -> None:
    assert read_back(event) == event


def test_every_kind_is_known_by_one_name() -> None:
    for module, base, unknown in (
        (events, events.RunEvent, UnknownRunEvent),
        (study_events, study_events.StudyEvent, UnknownStudyEvent),
    ):
        kinds = [
            kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, base) and kind.NAME
        ]
        assert len({kind.NAME for kind in kinds}) == len(kinds) >= 14
        assert unknown not in kinds
        for kind in kinds:
            assert dataclasses.is_dataclass(kind)
            assert kind.__doc__


def test_keys_that_are_none_stay_away_unless_they_were_always_written() -> None:
    assert RunProgress(3, metrics={}).record() == {
        "event": "progress",
        "attempt": 0,
        "seq": 0,
        "step": 3,
        "time": 0.0,
        "metrics": {},
    }
    assert list(RunLaunched(0, 1, 2, pid=5).record())[3:] == [
        *("trial", "seed_index", "launch", "launcher", "name", "slot", "until", "branch", "attempt", "log_size", "pid")
    ]
    assert TrialRetried(4, seeds=[1000]).payload() == {"trial": 4, "seeds": [1000]}
    assert TrialRetried(4, number=None).payload() == {"trial": 4, "number": None}


def test_keys_of_a_configuration_that_could_not_be_built_keep_their_order() -> None:
    built = list(TrialAsked(0, "sampled", None, experiment={"seed": 0}).payload())
    assert built[-4:] == ["experiment", "problem", "constraints", "rungs"]
    assert list(TrialAsked(0, "sampled", None).payload())[-4:] == ["experiment", "rungs", "problem", "constraints"]


ENVELOPE: dict[str, Any] = {"attempt": 1, "seq": 0, "step": 7, "time": 1.0}


def test_a_later_version_adds_keys_and_kinds() -> None:
    assert run_event({"event": "progress", **ENVELOPE, "metrics": {}, "weather": "fine"}).step == 7
    found = run_event({"event": "rested", **ENVELOPE, "metrics": {"rest/seconds": 2.0}})
    assert isinstance(found, UnknownRunEvent)
    assert (fold([found]).step, fold([found]).final) == (7, {"rest/seconds": 2.0})
    strange = study_event({"event": "foreseen", "seq": 0, "time": 1.0, "trial": 3, "mean": 5.0})
    assert isinstance(strange, UnknownStudyEvent)
    assert fold_study_events([strange]).trials == {}


def test_an_earlier_version_lacks_keys() -> None:
    asked = study_event({"event": "asked", "seq": 0, "time": 1.0, "trial": 0, "kind": "system", "system": "full"})
    assert isinstance(asked, TrialAsked)
    assert (asked.rungs, asked.forecast, asked.experiment) == ((), {}, None)
    launched = study_event(
        {"event": "launched", "seq": 1, "time": 1.0, "trial": 0, "seed_index": 0, "launch": 1, "slot": 0}
    )
    assert isinstance(launched, RunLaunched)
    assert (launched.launcher, launched.until, launched.attempt) == ("local", None, 0)


def test_records_of_a_later_format_are_refused() -> None:
    created = {"event": "created", "seq": 0, "time": 1.0, "id": "x", "name": "demo"}
    assert isinstance(study_event({**created, "format": 1}), StudyCreated)
    with pytest.raises(StudyError, match="format 2, and this version reads format 1"):
        study_event({**created, "format": 2})
    with pytest.raises(StudyError, match="format 2"):
        run_event({"event": "started", **ENVELOPE, "format": 2})


def test_prepared_data_is_compared_by_what_must_not_change() -> None:
    task = {"suite": "demo", "name": "sort", "digest": "sha256:t"}
    first = StudyPrepared(corpus={"corpus": "c", "tokenizer": "t", "folder": "/a"}, tasks=[task], time=1.0)
    moved = StudyPrepared(corpus={"corpus": "c", "tokenizer": "t", "folder": "/b"}, tasks=[task], time=2.0)
    assert first.digests == moved.digests
    assert not first.same_content(moved)
    assert first.same_content(dataclasses.replace(first, time=9.0))


def test_a_schedule_is_known_by_its_name_or_its_families() -> None:
    tree = {"temporal": {"kind": "linear"}, "depth": {"kind": "uniform"}, "draw": {"kind": "exact"}}
    assert WrittenSchedule.of({"schedule": {"name": "pld", **tree}}).label == "pld"
    assert WrittenSchedule.of({"schedule": tree}).label == "linear x uniform"
    assert WrittenSchedule.of({}).label == ""


def test_a_file_is_folded_again_only_when_it_changed(tmp_path: Path) -> None:
    assert fold_run(tmp_path).state == "new"
    writer = RunWriter(tmp_path / "events.jsonl")
    writer.emit(RunStarted(0))
    first = fold_run(tmp_path)
    assert fold_run(tmp_path) is first
    writer.emit(RunProgress(1, metrics={"train/loss": 1.0}))
    writer.close()
    second = fold_run(tmp_path)
    assert second is not first
    assert (first.step, second.step) == (0, 1)


def test_nobody_else_reads_lines() -> None:
    """Whoever wants an event takes the typed one: no key of an event is read by its name outside of `records`."""
    package = Path(events.__file__).parent.parent
    files = [path for path in package.rglob("*.py") if path.parent.name != "records"]
    assert len(files) > 100
    assert [path for path in files if "jsonl.read(" in path.read_text()] == []
