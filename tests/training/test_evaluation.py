"""Held-out losses and fine-tuning: what they compute, and that nothing is done twice."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pld_search.data.task_metrics import average
from pld_search.errors import CheckpointError
from pld_search.host.signals import StopRequest
from pld_search.model.build_model import masked_lm
from pld_search.records import jsonl
from pld_search.records.run_record import RunWriter, fold_run
from pld_search.specs.experiment import Model
from pld_search.training import evaluation, state
from pld_search.training.evaluation import evaluate_checkpoint, named
from pld_search.training.finetune import Finetuning, batches_of
from pld_search.training.held_out_losses import held_out_loss
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup, open_setup
from pld_search.training.train_run import train

Builder = Callable[..., Any]
SMALL = {"layers": 2, "hidden": 16, "heads": 2, "intermediate": 32}
QUICK = {"epochs": 2, "length": 24, "batch": 8, "lr": 1e-3}


@pytest.fixture
def opened(experiment: Builder, execution: Builder) -> tuple[Setup, state.State]:
    setup = open_setup(experiment(model=SMALL, tasks=True, evaluation=QUICK), execution())
    return setup, state.fresh(setup)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_held_out_loss_is_the_mean_over_predictions_at_full_depth_without_dropout(
    opened: tuple[Setup, state.State], split: str
) -> None:
    setup, progress = opened
    loss = held_out_loss(setup, progress.model, progress.numerics, split)
    assert progress.model.training
    progress.model.eval()
    losses = []
    for masked in setup.held_out(split):
        logits = progress.model(torch.from_numpy(masked.input_ids), positions=torch.from_numpy(masked.positions)).logits
        losses.append(
            functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), torch.from_numpy(masked.labels).reshape(-1), reduction="none"
            )
        )
    assert loss == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)
    assert loss == held_out_loss(setup, progress.model, progress.numerics, split)


def test_a_model_that_is_lost_has_a_loss_that_is_not_finite(opened: tuple[Setup, state.State]) -> None:
    setup, progress = opened
    with torch.no_grad():
        progress.parameters[0].fill_(math.nan)
    assert not math.isfinite(held_out_loss(setup, progress.model, progress.numerics, "validation"))


def test_the_final_losses_are_of_more_sequences_and_kept_by_documents(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    what = experiment(steps=2, model=SMALL, validation={"sequences": 4, "final": 100})
    record = train(what, execution(), tmp_path)
    setup = open_setup(what, execution())
    for split, name in (("validation", "valid/loss"), ("test", "test/loss")):
        kept = record.losses[split]
        sums, counts = kept.arrays
        whole = list(setup.held_out(split, 100))
        assert 4 < sum(len(chunk) for chunk in whole) <= 100
        assert counts.sum() == sum(chunk.counts[0] for chunk in whole)
        assert 1 < kept.blocks == kept.documents <= 3  # of twelve files
        assert sums.sum() / counts.sum() == pytest.approx(record.final[name], rel=1e-6)
    points = dict(record.series["valid/loss"])
    assert points[2] != record.final["valid/loss"]  # the curve reads the same few sequences to its end
    again = evaluate_checkpoint(what, execution(), next((tmp_path / "checkpoints").iterdir()), tmp_path / "out")
    assert again == {name: pytest.approx(record.final[name]) for name in ("valid/loss", "test/loss")}
    assert not train(experiment(steps=2, model=SMALL), execution(), tmp_path / "brief").losses


def tuned(setup: Setup, progress: state.State, index: int, repeat: int, folder: Path) -> tuple[Finetuning, Any]:
    tuning = Finetuning(setup, setup.experiment.evaluation.tasks[index], progress.model)
    log = RunWriter(folder / "events.jsonl")
    with StopRequest() as stop:
        model = tuning.tune(repeat, log, stop)
    log.close()
    return tuning, model


@pytest.mark.parametrize("index", [0, 1, 2])
def test_fine_tuning_repeats_itself_and_differs_between_repeats(
    opened: tuple[Setup, state.State], tmp_path: Path, index: int
) -> None:
    setup, progress = opened
    before = [parameter.detach().clone() for parameter in progress.parameters]
    models = [
        tuned(setup, progress, index, repeat, tmp_path / str(number))[1] for number, repeat in enumerate((0, 0, 1))
    ]
    first, again, other = ([parameter.detach() for parameter in model.parameters()] for model in models)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, progress.parameters, strict=True))
    losses = [value for _, value in fold_run(tmp_path / "0").series["train/loss"]]
    assert len(losses) == QUICK["epochs"]


def test_predictions_do_not_depend_on_how_inputs_are_batched(
    opened: tuple[Setup, state.State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, progress = opened
    tuning, model = tuned(setup, progress, 2, 0, tmp_path)
    examples = setup.task_data(setup.experiment.evaluation.tasks[2]).dev
    together = tuning.predict(model, examples)
    singly = np.concatenate([tuning.predict(model, [example]) for example in examples])
    np.testing.assert_allclose(together, singly, atol=1e-5)
    assert np.ptp(together) > 0


def test_a_fine_tuning_that_is_lost_scores_zero(opened: tuple[Setup, state.State], tmp_path: Path) -> None:
    setup, progress = opened
    tuning, model = tuned(setup, progress, 0, 0, tmp_path)
    with torch.no_grad():
        model.classifier.weight.fill_(math.nan)
    assert set(tuning.score(model).values()) == {0.0}


def test_every_epoch_reads_every_example_once_in_an_order_of_its_own() -> None:
    batches = list(batches_of(10, 4, 3, seed=1))
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [np.concatenate(batches[start : start + 3]).tolist() for start in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_scores_are_means_over_repeats_named_by_suite_and_averaged_over_tasks(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    spec = experiment(steps=4, model=SMALL, tasks=True, evaluation={**QUICK, "seeds": 2})
    final = train(spec, execution(), tmp_path).final
    told = [event for event in jsonl.read(tmp_path / "events.jsonl") if event["event"] == "task"]
    assert [(event["task"], event["seed"]) for event in told] == [
        (name, seed) for name in ("single", "pair", "number") for seed in (0, 1)
    ]
    for task, metrics in {
        "single": ("accuracy", "f1"),
        "pair": ("accuracy", "f1"),
        "number": ("pearson", "spearman"),
    }.items():
        repeats = [event["scores"] for event in told if event["task"] == task]
        for metric in metrics:
            assert final[f"task/{task}/{metric}"] == pytest.approx(np.mean([scores[metric] for scores in repeats]))
    means = {
        task: {name: value for key, value in final.items() if (name := key.removeprefix(f"task/{task}/")) != key}
        for task in ("single", "pair", "number")
    }
    assert final["task/average"] == pytest.approx(average(means))


def test_names_of_scores() -> None:
    assert named({"glue": {"rte": {"accuracy": 0.5}, "mrpc": {"f1": 0.8, "accuracy": 0.6}}}) == {
        "glue/rte/accuracy": 0.5,
        "glue/mrpc/f1": 0.8,
        "glue/mrpc/accuracy": 0.6,
        "glue/average": pytest.approx(0.6),
    }


def test_a_checkpoint_is_evaluated_as_its_run_was(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=4, model=SMALL, tasks=True, evaluation=QUICK)
    final = train(spec, execution(), tmp_path / "run").final
    found = evaluate_checkpoint(
        spec, execution(), tmp_path / "run" / "checkpoints" / "step-00000004", tmp_path / "again"
    )
    assert {"valid/loss", "test/loss", "task/average"} < found.keys()
    assert found == {name: pytest.approx(final[name], rel=1e-6) for name in found}


def test_of_several_rates_the_best_of_each_task_counts_and_all_are_recorded(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    what = experiment(
        steps=2, model=SMALL, tasks=True, evaluation={**QUICK, "epochs": 1, "lr": (1e-6, 3e-3), "seeds": 2}
    )
    record = train(what, execution(), tmp_path)
    single = next(task for task in what.evaluation.tasks if task.name == "single")
    found = [event for event in record.fine_tunings if event.task == "single"]
    assert [(event.lr, event.seed) for event in found] == [(1e-6, 0), (1e-6, 1), (3e-3, 0), (3e-3, 1)]
    assert all(event.constant is not None and event.majority is not None and event.majority >= 0.5 for event in found)
    means = [
        np.mean([[event.scores[name] for name in single.metrics] for event in found if event.lr == rate], axis=0)
        for rate in (1e-6, 3e-3)
    ]
    best = max(means, key=lambda each: float(each.mean()))
    assert [record.final[f"task/single/{name}"] for name in single.metrics] == pytest.approx(list(best))
    assert [event.majority for event in record.fine_tunings if event.task == "number"] == [None] * 4
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "events.jsonl").unlink()
    again = train(what, execution(), tmp_path)  # finished fine-tunings come back from their own events
    assert [event.scores for event in again.fine_tunings] == [event.scores for event in record.fine_tunings]
    assert [event.constant for event in again.fine_tunings] == [event.constant for event in record.fine_tunings]


def test_a_checkpoint_of_another_vocabulary_is_refused(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    other = masked_lm(Model(layers=1, hidden=8, heads=1, intermediate=16, vocabulary=64))
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(CheckpointError, match="a model of 64 tokens"):
        evaluate_checkpoint(experiment(model=SMALL), execution(), tmp_path / "other", tmp_path / "out")


def test_losses_that_are_not_finite_are_left_out(
    opened: tuple[Setup, state.State], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, progress = opened
    monkeypatch.setattr(
        evaluation,
        "held_out_metrics",
        lambda _setup, _model, _numerics, split: {"loss": math.inf if split == "test" else 5.0},
    )
    assert evaluation.held_out_losses(setup, progress.model, ("validation", "test")) == {"valid/loss": 5.0}


def test_fine_tuning_is_in_fp32_on_the_cpu_whatever_the_run(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = Numerics.__init__

    def noting(self: Numerics, precision: Any, device: torch.device) -> None:
        seen.append(precision)
        original(self, precision, device)

    monkeypatch.setattr(Numerics, "__init__", noting)
    train(experiment(steps=2, model=SMALL, precision="bf16", tasks=True, evaluation=QUICK), execution(), tmp_path)
    assert seen[0] == "bf16" and seen.count("fp32") >= 6
