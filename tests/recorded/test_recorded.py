"""Studies that version 0.1 recorded: every line is read and written back, and they fold, report, mirror and continue
as they did.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pld_search.app.run_study import preparer
from pld_search.records import jsonl, status
from pld_search.records.event_lines import Event
from pld_search.records.events import UnknownRunEvent, run_event
from pld_search.records.fold_store import STORE
from pld_search.records.run_record import fold_run
from pld_search.records.study_events import UnknownStudyEvent, study_event
from pld_search.records.study_record import fold_study, trial_folder, view
from pld_search.report.run_rows import rows
from pld_search.search.coordinator import Means, run_study
from pld_search.spaces.load_study import load_study
from pld_search.specs.machine import Machine
from pld_search.specs.spec_files import read_execution, read_experiment
from pld_search.tracking.mlflow_mirror import mirror
from pld_search.training.train_run import train
from tests.recorded.picture import picture
from tests.recorded.record import STUDIES, written
from tests.search.in_process import Done, InProcess
from tests.search.real_studies import CALM

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.glob("**/*.jsonl") if path.name != STORE)
"""What was recorded: reading a study in place leaves its folds beside it, which are no record."""


def event_of(path: Path, line: Mapping[str, Any]) -> Event:
    return study_event(line) if path.name == "study.jsonl" else run_event(line)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_every_line_is_read_and_written_back_byte_for_byte(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    assert lines
    for line in lines:
        event = event_of(path, json.loads(line))
        assert not isinstance(event, UnknownRunEvent | UnknownStudyEvent)
        assert jsonl.line(event.record()) == line + b"\n"


def test_the_recorded_studies_hold_most_kinds_of_events() -> None:
    """What they lack is written back in tests/records."""
    kinds = {event_of(path, line).NAME for path in FILES for line in jsonl.read(path)}
    assert {"rung", "promoted", "confirming", "told", "chosen", "exited", "paused", "resumed", "checkpoint"} <= kinds
    assert len(kinds) >= 20


@pytest.mark.parametrize("name", STUDIES)
def test_the_rows_are_those_that_were_printed(name: str) -> None:
    assert json.loads(json.dumps(rows(view(HERE / name)))) == json.loads((HERE / f"{name}.rows.json").read_text())


@pytest.mark.parametrize("name", STUDIES)
def test_mlflow_shows_the_same_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, statuses, params, `state` and `outcome`, and every point of every metric.

    Times and ids are left out: a store gives its own. A process of another machine is taken to live, so this machine
    takes the name of the one that recorded them.
    """
    folder = tmp_path / name
    shutil.copytree(HERE / name, folder)
    session = fold_study(folder).session
    assert session is not None
    monkeypatch.setattr(status, "host", lambda: session.host)
    mirror(folder, f"sqlite:///{tmp_path}/mlflow.db")
    assert picture(f"sqlite:///{tmp_path}/mlflow.db") == json.loads((HERE / f"{name}.mlflow.json").read_text())


class RealInProcess(InProcess):
    """The real trainer, called in this process."""

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> Done:
        self.launched.append((folder, None, None))
        train(read_experiment(folder / "experiment.yaml"), read_execution(folder / "execution.yaml"), folder)
        return Done(0)


def test_a_killed_study_goes_on_from_its_checkpoint_to_its_end(tmp_path: Path) -> None:
    """Its first run was killed at step 56 of 160, after a checkpoint at step 39."""
    folder = tmp_path / "runs" / "killed"
    shutil.copytree(HERE / "killed", folder)
    killed = trial_folder(folder, 0, 0)
    before = fold_run(killed)
    assert (before.state, before.step) == ("running", 56)
    machine = Machine.model_validate({**CALM, "cache": str(tmp_path / "cache")})
    study, launcher = load_study(written(tmp_path / "text", "killed")), RealInProcess()
    means = Means(prepare=preparer(machine, lambda _: None), environment={}, launcher=launcher, poll=0)
    assert run_study(study, folder, machine, means) == 0
    found = view(folder)
    assert found.study.completed
    assert [place.parent.name for place, _, _ in launcher.launched] == ["0000", "0001", "0002"]
    assert all(run.state == "finished" for run in found.runs.values())
    after = found.runs[0, 0]
    assert (after.attempt, after.resumed_from, after.step, after.executed_steps) == (2, [39], 160, 160 + 56 - 39)
    kept = [point for point in before.series["train/loss"] if point[0] <= 39]
    assert kept and after.series["train/loss"][: len(kept)] == kept
    again = dict(after.series["train/loss"])
    assert {step: again[step] for step, _ in before.series["train/loss"]} == pytest.approx(
        dict(before.series["train/loss"]), rel=1e-4
    )
