"""The fold of a study's records: trials, launches, what was told, and a view over its runs."""

from pathlib import Path

import pytest

from pld_search.records.events import RunFinished, RunStarted
from pld_search.records.run_record import RunWriter
from pld_search.records.study_events import (
    RunExited,
    RunLaunched,
    RunLaunching,
    StudyCompleted,
    StudyCreated,
    StudyPaused,
    StudyPrepared,
    TrialAsked,
    TrialRejected,
    TrialReseeded,
    TrialRetried,
    TrialTold,
)
from pld_search.records.study_record import StudyWriter, fold, trial_folder, view

CLOCK = iter(range(10_000))


def open_study(folder: Path) -> StudyWriter:
    return StudyWriter(folder / "study.jsonl", clock=lambda: float(next(CLOCK)))


def ask(writer: StudyWriter, trial: int, **fields: object) -> None:
    asked = {
        "kind": "system",
        "system": "full",
        "sampler_study": None,
        "number": None,
        "params": {},
        "distributions": {},
        "seeds": [0, 1],
    }
    writer.write(TrialAsked(trial=trial, **{**asked, **fields}))


def test_a_study_from_its_creation_to_its_end(tmp_path: Path) -> None:
    writer = open_study(tmp_path)
    writer.write(StudyCreated(id="s1", name="demo", definition={}, identity={}))
    writer.write(StudyPrepared(corpus={"digest": "a"}, folders={}, tasks=[]))
    ask(writer, 0)
    ask(writer, 1, kind="sampled", system=None, seeds=[0])
    writer.write(TrialRejected(trial=1, reason="saves too little", constraint="forecast/saved_flops >= 10 %"))
    for launch, (outcome, code) in enumerate([("killed", -9), ("finished", 0)], 1):
        writer.write(
            RunLaunched(trial=0, seed_index=0, launch=launch, pid=7, process_started=1.0, host="h", slot=0, command=[])
        )
        writer.write(RunExited(trial=0, seed_index=0, launch=launch, code=code, outcome=outcome, reason=None))
    writer.write(RunLaunched(trial=0, seed_index=1, launch=1, pid=8, process_started=1.0, host="h", slot=1, command=[]))
    writer.write(TrialTold(trial=0, state="COMPLETE", values=[5.5], constraints={}))
    writer.close()
    study = view(tmp_path).study
    assert study.created is not None and study.created.name == "demo"
    assert not study.completed
    assert study.trials[1].rejected is not None
    first, second = study.trials[0].launches[0], study.trials[0].launches[1]
    assert (first.launches, first.failures, first.outcome) == (2, 1, "finished")
    assert (second.launches, second.outcome, second.pid) == (1, None, 8)
    assert study.trials[0].told is not None and study.trials[0].told.values == [5.5]


def test_a_launch_that_was_only_announced_is_open_and_counted_once(tmp_path: Path) -> None:
    writer = open_study(tmp_path)
    ask(writer, 0)
    known = {
        "trial": 0,
        "seed_index": 0,
        "launch": 1,
        "launcher": "slurm",
        "name": "only-mine",
        "slot": 0,
        "command": [],
        "attempt": 0,
        "log_size": 7,
    }
    writer.write(RunLaunching(**known))
    announced = view(tmp_path).study.trials[0].launches[0]
    assert (announced.launches, announced.outcome, announced.name, announced.job, announced.log_size) == (
        1,
        None,
        "only-mine",
        None,
        7,
    )
    writer.write(RunLaunched(**known, job="17"))
    writer.close()
    launched = view(tmp_path).study.trials[0].launches[0]
    assert (launched.launches, launched.outcome, launched.name, launched.job) == (1, None, "only-mine", "17")


@pytest.mark.parametrize(
    ("outcome", "held_against_it"),
    [
        *((outcome, 1) for outcome in ("crashed", "out_of_memory", "killed", "stalled")),
        *(
            (outcome, 0)
            for outcome in (
                "finished",
                "diverged",
                "paused",
                "branched",
                "stopped",
                "timed_out",
                "disk_full",
                "lost_node",
            )
        ),
    ],
)
def test_what_counts_as_a_failure_until_a_new_chance(tmp_path: Path, outcome: str, held_against_it: int) -> None:
    writer = open_study(tmp_path)
    ask(writer, 0, seeds=[0])
    for launch in (1, 2):
        writer.write(RunLaunched(trial=0, seed_index=0, launch=launch, slot=0))
        writer.write(RunExited(trial=0, seed_index=0, launch=launch, code=1, outcome=outcome, reason=None, seconds=2.5))
    launched = view(tmp_path).study.trials[0].launches[0]
    assert (launched.failures, launched.seconds) == (2 * held_against_it, 5.0)
    writer.write(TrialRetried(trial=0, number=None))
    writer.close()
    again = view(tmp_path).study.trials[0].launches[0]
    assert (again.failures, again.seconds, again.launches) == (0, 0.0, 2)
    assert again.outcome == (outcome if outcome in ("finished", "diverged") else "stopped")


def test_completed_holds_until_the_study_goes_on(tmp_path: Path) -> None:
    writer = open_study(tmp_path)
    writer.write(StudyCompleted())
    assert view(tmp_path).study.completed
    ask(writer, 0)
    writer.close()
    assert not view(tmp_path).study.completed


def test_more_seeds_open_a_told_trial_again(tmp_path: Path) -> None:
    writer = open_study(tmp_path)
    ask(writer, 0, seeds=[0])
    writer.write(TrialTold(trial=0, state="COMPLETE", values=[5.5], constraints={}))
    writer.write(TrialReseeded(trial=0, seeds=[0, 1, 2]))
    writer.close()
    trial = view(tmp_path).study.trials[0]
    assert (trial.seeds, trial.told) == ([0, 1, 2], None)


def test_sequence_numbers_go_on(tmp_path: Path) -> None:
    for _ in range(2):
        writer = open_study(tmp_path)
        record = writer.write(StudyPaused(reason="stopped"))
        writer.close()
    assert record.seq == 1


def test_a_view_folds_every_run_that_was_asked_for(tmp_path: Path) -> None:
    writer = open_study(tmp_path)
    ask(writer, 3)
    writer.close()
    run = RunWriter(trial_folder(tmp_path, 3, 1) / "events.jsonl")
    run.emit(RunStarted(0))
    run.emit(RunFinished(10, metrics={"valid/loss": 5.0}, timing={}))
    run.close()
    seen = view(tmp_path)
    assert {key: record.state for key, record in seen.runs.items()} == {(3, 0): "new", (3, 1): "finished"}


def test_an_empty_study() -> None:
    assert fold([]).trials == {}
