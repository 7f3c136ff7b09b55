"""After every record of real studies the index says what a look at every trial says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pld_search.records.study_events import TrialAsked, TrialEvent, read_study_events
from pld_search.records.study_record import StudyRecord, apply
from pld_search.search.trial_index import TrialIndex
from tests.search.in_process import InProcess
from tests.search.studies import OPEN_LR, run, small_study

RECORDED = Path(__file__).parents[1] / "recorded"
EQUAL = """
systems:
  pld: {schedule: pld, optimizer.lr: 1e-3, seeds: 2}
  same: {schedule: {base: pld, name: other}, optimizer.lr: 1e-3}
  tuned: {schedule: pld, optimizer.lr: {choice: [1e-3, 1e-2]}, tune: 3}
reference: pld
search: {sampler: random, trials: 5, seed: 0, constraints: [forecast/steps < 1000]}
"""
STOPPED = """
systems: {full: {schedule: full, optimizer.lr: 1e-3, seeds: 2}}
reference: full
search: {sampler: random, trials: 6, seed: 0, early_stopping: {kind: asha, min: 20 %, eta: 3}}
confirm: {seeds: 2}
"""


def check(records: Path) -> int:
    """How many records were about a trial."""
    study, index, count = StudyRecord(), TrialIndex([]), 0
    for event in read_study_events(records):
        apply(study, event)
        if isinstance(event, TrialAsked | TrialEvent):
            count += 1
            index.update(study.trials[event.trial])
        compare(index, study)
        compare(TrialIndex(study.trials.values()), study)
    return count


def compare(index: TrialIndex, study: StudyRecord) -> None:
    trials = list(study.trials.values())
    waiting = [trial for trial in trials if trial.open or not all(map(trial.done, trial.confirming))]
    assert index.unsettled == waiting
    assert index.with_rungs == [trial for trial in trials if trial.rung_steps]
    assert index.systems == [trial for trial in trials if trial.kind == "system"]
    assert +index.asked == Counter(
        (trial.kind, trial.system) for trial in trials if trial.kind == "system" or not trial.rejected
    )
    for place in {(trial.kind, trial.system) for trial in trials}:
        assert list(index.of(*place)) == [trial for trial in trials if (trial.kind, trial.system) == place]
    ended: dict[tuple[str, int], tuple[int, int]] = {}
    built = [(trial, number) for trial in trials if trial.asked.experiment for number in trial.indices]
    for trial, number in built:
        if trial.rejected is None and trial.done(number):
            ended.setdefault(trial.identity(number), trial.source(number))
    for trial, number in built:
        assert index.ended(trial.identity(number)) == ended.get(trial.identity(number))


@pytest.mark.parametrize(("name", "least"), [("finished", 10), ("killed", 2), ("promoted", 10)])
def test_recorded_studies(name: str, least: int) -> None:
    assert check(RECORDED / name / "study.jsonl") >= least


@pytest.mark.parametrize(("text", "lr"), [(EQUAL, "{choice: [1e-3, 1e-2]}"), (STOPPED, OPEN_LR)])
def test_studies_with_reuse_tuning_rungs_and_confirmation(tmp_path: Path, text: str, lr: str) -> None:
    assert run(small_study(tmp_path, text, lr), tmp_path / "small", 2, launcher=InProcess(), poll=0.0) == 0
    assert check(tmp_path / "small" / "study.jsonl") > 30
