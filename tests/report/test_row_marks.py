"""What sets a row apart is said below its name, in the terminal and on the page."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pld_search.cli.output import console
from pld_search.records.events import RunDiverged, RunRecovered, RunStarted
from pld_search.records.run_record import RunWriter
from pld_search.records.study_record import trial_folder, view
from pld_search.report.comparison import comparison
from pld_search.report.leading_row import leader
from pld_search.report.row_marks import marks
from pld_search.report.study_summary import summary
from pld_search.report.table_cells import best
from pld_search.report.terminal import show
from pld_search.report.wording import divergence_text
from pld_search.report.write_report import write_report
from pld_search.specs.experiment import Optimizer
from pld_search.specs.pretraining import Pretraining
from tests.report.studies import FULL, Folder, experiment


def test_a_rate_that_does_not_reach_zero_is_marked(tmp_path: Path) -> None:
    study = Folder(tmp_path / "marked", systems=["full", "deepspeed"], reference="full")
    plain = experiment(FULL, steps=200_000)
    theirs = plain.model_copy(update={"optimizer": Optimizer(lr=1e-3, shape="exponential", rate=0.99)})
    study.run(study.ask(plain, "full"), plain, 5.4)
    study.run(study.ask(theirs, "deepspeed"), theirs, 5.5)
    seen = view(study.complete())
    mark = "lr not decayed: ends at 13.9 % of its peak"
    assert {row.label: marks(row) for row in comparison(seen)} == {"full": [], "deepspeed": [mark]}
    out = io.StringIO()
    show(seen, console(out))
    assert "lr not decayed" in out.getvalue()
    write_report(tmp_path / "marked")
    assert mark in (tmp_path / "marked" / "report.html").read_text()


def test_rows_that_learn_different_things_are_compared_by_downstream_scores_only(tmp_path: Path) -> None:
    study = Folder(tmp_path / "objectives", systems=["mlm", "bert", "best-bert"], reference="mlm")
    plain = experiment(FULL)
    pairs = plain.model_copy(update={"pretraining": Pretraining(kind="mlm+nsp")})
    for name, what, loss in (("mlm", plain, 5.4), ("bert", pairs, 5.0), ("best-bert", pairs, 4.9)):
        asked = study.ask(what, name, experiment=what.model_dump(mode="json"))
        study.run(asked, what, loss, glue__average=0.7)
    seen = view(study.complete())
    rows = {row.label: row for row in comparison(seen)}
    assert {name: row.objective for name, row in rows.items()} == {
        "mlm": "mlm",
        "bert": "mlm+nsp",
        "best-bert": "mlm+nsp",
    }
    assert set(rows["bert"].differences) == {"glue/average"} and rows["bert"].below_unigram is None
    mark = "learns mlm+nsp: compared by downstream scores only, its losses are of another objective"
    assert (marks(rows["mlm"]), marks(rows["bert"])) == ([], [mark])
    assert leader(rows.values(), summary(seen)) is rows["mlm"]  # lower losses of another objective do not lead
    assert best(list(rows.values()), "valid/loss") is None
    assert mark in write_report(study.path).read_text()
    written = json.loads((study.path / "report.json").read_text())["comparison"]
    assert [row["objective"] for row in written] == [row.objective for row in comparison(seen)]


def test_a_run_that_recovered_says_how_and_at_which_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Folder(tmp_path / "recovered", systems=["one", "two"])
    what = experiment(FULL)
    one, two = study.ask(what, "one"), study.ask(what, "two", seeds=(0, 1))
    recover(trial_folder(study.path, one, 0), "continue_in_fp32", 120, 1.0)
    recover(trial_folder(study.path, two, 1), "lower_lr", 80, 0.25)
    study.run(one, what, 5.4)
    study.run(two, what, 5.4, seed=0)
    study.run(two, what, 5.4, seed=1)
    rows = {row.label: row for row in comparison(view(study.complete()))}
    assert marks(rows["one"]) == ["fp32 from step 120 (43 s repeated)"]
    assert marks(rows["two"]) == ["seed 1: lr × 0.25 from step 80 (43 s repeated)"]
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    show(view(study.path), console(out))
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any(line.rstrip().endswith("± 0.000") for line in lines)  # the last column is whole beside the mark


def recover(folder: Path, policy: str, step: int, factor: float) -> None:
    """What an attempt before the one that finished left: the mark stays."""
    writer = RunWriter(folder / "events.jsonl", clock=lambda: 1.7e9)
    writer.emit(RunStarted(0))
    writer.emit(
        RunRecovered(
            step, from_step=step, policy=policy, precision="fp32", lr_factor=factor, count=1, repeated_seconds=43.2
        )
    )
    writer.close()


def test_a_divergence_is_called_by_its_name(tmp_path: Path) -> None:
    study = Folder(tmp_path / "diverged", systems=["one"])
    what = experiment(FULL)
    trial = study.ask(what, "one")
    writer = RunWriter(trial_folder(study.path, trial, 0) / "events.jsonl", clock=lambda: 1.7e9)
    writer.emit(RunStarted(0, experiment=what.model_dump(mode="json")))
    writer.emit(
        RunDiverged(60, reason="x", kind="loss_scale", first_bad_step=41, metrics={"divergence/first_bad_step": 41.0})
    )
    writer.close()
    (row,) = comparison(view(study.complete()))
    assert divergence_text(row) == "1 of 1 at step 41 (loss scale collapsed)"
