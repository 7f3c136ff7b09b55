"""`analyze` on really trained runs: what it finds, where it is recorded, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pld_search.model.build_model import load_bert
from pld_search.records.run_record import fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.spec_files import read_execution, read_experiment, write_execution, write_experiment
from pld_search.training import checkpoint
from pld_search.training.evaluation import validation_losses
from pld_search.training.train_run import train
from tests.cli.conftest import Call
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures

STEPS, EVERY = 6, 3
SHAPES = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}


@pytest.fixture(scope="module", params=["mlm", "mlm+nsp", "electra"])
def run(
    request: pytest.FixtureRequest,
    experiment: Callable[..., Experiment],  # noqa: F811
    execution: Callable[..., Execution],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    more = {} if request.param == "mlm" else {"pretraining": {"kind": request.param}}
    what, how = experiment(steps=STEPS, model=SHAPES, **more), execution(checkpoint_every=EVERY, speed_probes=0)
    folder = tmp_path_factory.mktemp("run") / "run"
    assert train(what, how, folder).state == "finished"
    write_experiment(folder / "experiment.yaml", what)
    write_execution(folder / "execution.yaml", how)
    return folder


def test_a_run_is_analysed_and_its_record_says_so(run: Path, call: Call) -> None:
    """Under every objective; the loss is that of validation where as many sequences are read."""
    done = call("analyze", run, "--sequences", 16, "--json")
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["label"], found["step"], found["layers"], found["sequences"]) == ("run", STEPS, 3, 16)
    record = fold_run(run)
    analysis = record.analysis_at(STEPS)
    assert analysis is not None and analysis.record() == {key: found[key] for key in analysis.record()}
    assert analysis.loss == pytest.approx(record.series["valid/loss"][-1][1], rel=1e-5)
    assert all(norm > 0 for norm in found["gradients"]["block"])
    assert [event for event in (run / "events.jsonl").read_text().splitlines() if '"analysed"' in event] == []


def test_every_kept_checkpoint(run: Path, call: Call, tmp_path: Path) -> None:
    done = call("analyze", run, "--sequences", 8, "--every", "--picture", "layers.png")
    assert done.exit_code == 0, done.stderr
    assert "run after 3 steps" in done.stdout and "run after 6 steps" in done.stdout
    assert "which stay" in done.stdout
    assert [step for step, _ in fold_run(run).analyses] == [3, 6]
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


def test_a_checkpoint_elsewhere_needs_its_experiment(run: Path, call: Call, tmp_path: Path) -> None:
    saved = checkpoint.latest(run / "checkpoints")
    assert saved is not None
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    for name in ("config.json", "model.safetensors"):
        (lonely / name).write_bytes((saved.folder / name).read_bytes())
    refused = call("analyze", lonely)
    assert refused.exit_code == 2
    assert "--experiment FILE" in refused.stderr
    done = call("analyze", lonely, "--experiment", run / "experiment.yaml", "--sequences", 16, "--json")
    assert done.exit_code == 0, done.stderr
    what, how = (json.loads(done.stdout)[0][key] for key in ("loss", "step"))
    assert how is None
    settings = checkpoint_settings(run)
    assert what == pytest.approx(validation_losses(*settings, [load_bert(lonely)])[0], rel=1e-5)


def checkpoint_settings(run: Path) -> tuple[Experiment, Execution]:
    return read_experiment(run / "experiment.yaml"), read_execution(run / "execution.yaml")


def test_wrong_words(call: Call, study: Path, tmp_path: Path) -> None:
    unknown = call("analyze", "smal", "--runs", study.parent)
    assert unknown.exit_code == 2
    assert "did you mean small?" in unknown.stderr
    bare = call("analyze", "small", "--runs", study.parent)
    assert (bare.exit_code, "no system of this study has a run with a checkpoint" in bare.stderr) == (2, True)
    assert call("analyze", tmp_path, "--picture", "layers.gif").exit_code == 2
