"""A finished study written by hand, and a way to call the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pld_search.cli.main import app
from pld_search.frozen import digest_of
from pld_search.records.events import RunFinished, RunStarted, RunValidated
from pld_search.records.run_record import RunWriter
from pld_search.records.study_events import RunExited, RunLaunched, StudyCreated, StudyPrepared, TrialAsked, TrialTold
from pld_search.records.study_record import StudyWriter, trial_folder
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a working folder without a machine file."""
    for name in (
        "OPTUNA_STORAGE",
        "MLFLOW_TRACKING_URI",
        "CUDA_VISIBLE_DEVICES",
        "PLD_SEARCH_MACHINE",
        "PLD_SEARCH_STEPS",
        "COLUMNS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call() -> Call:
    """`call("report", "demo")`: exit code, stdout and stderr of the command line, run in this process."""
    runner = CliRunner()
    return lambda *words, **options: runner.invoke(app, [str(word) for word in words], **options)


def schedule(name: str, end: float) -> Schedule:
    return Schedule.model_validate(
        {
            "name": name,
            "temporal": {"kind": "constant", "value": end},
            "depth": {"kind": "uniform"},
            "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
            "rescale": "none",
            "skipped": "freeze",
        }
    )


def experiment(drops: Schedule, steps: int = 20) -> Experiment:
    return Experiment(
        model=Model(layers=4, hidden=32, heads=2, intermediate=64, vocabulary=128),
        data=Data(corpus=digest_of("corpus"), tokenizer=digest_of("tokenizer"), length=16),
        batch=Batch(sequences=8),
        optimizer=Optimizer(lr=1e-3),
        precision="fp32",
        schedule=drops,
        steps=steps,
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """runs/small: two systems that finished, one run a process left behind."""
    folder = tmp_path / "runs" / "small"
    records = StudyWriter(folder / "study.jsonl", clock=lambda: 1000.0)
    definition = {
        "name": "small",
        "systems": [{"name": "full"}, {"name": "half"}],
        "reference": "full",
        "budget": {"steps": 20, "equal": "flops"},
    }
    records.write(StudyCreated(id="1", name="small", definition=definition, identity={}))
    records.write(StudyPrepared(corpus={"statistics": {"unigram_entropy": 4.5}}, folders={}, tasks=[]))
    for number, (name, end, loss) in enumerate((("full", 1.0, 4.2), ("half", 0.5, 4.1), ("left", 0.6, None))):
        what = experiment(schedule(name, end))
        seeds = {
            "trial": number,
            "seeds": [0],
            "digest": what.digest,
            "steps": 20,
            "schedule": name,
            "params": {},
            "experiment": what.model_dump(mode="json"),
        }
        records.write(TrialAsked(kind="system" if loss else "sampled", system=name if loss else None, **seeds))
        records.write(
            RunLaunched(
                trial=number, seed_index=0, launch=1, pid=2**22 + 1, process_started=1.0, host=None, slot=0, command=[]
            )
        )
        writer = RunWriter(trial_folder(folder, number, 0) / "events.jsonl", clock=lambda: 1000.0)
        writer.emit(
            RunStarted(
                0,
                experiment=what.model_dump(mode="json"),
                seed=0,
                digest=what.digest,
                execution={},
                provenance={},
                corpus={},
            )
        )
        writer.emit(RunValidated(10, metrics={"valid/loss": 4.6}))
        if loss:
            writer.emit(
                RunFinished(
                    20,
                    metrics={"valid/loss": loss, "test/loss": loss, "progress/tflop": 0.5},
                    timing={"progress/seconds": 2.0},
                )
            )
            records.write(RunExited(trial=number, seed_index=0, launch=1, code=0, outcome="finished", reason=None))
            records.write(TrialTold(trial=number, state="COMPLETE", values=[loss], constraints={}))
        writer.close()
    records.close()
    return folder
