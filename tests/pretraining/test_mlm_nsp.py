"""Masked tokens and next sentences: what they cost, a loss that does not depend on how a batch is cut, a run from start
to a fine-tuned and exported model, and a resume that is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertForPreTraining

from pld_search.costs.flops import step_flops
from pld_search.costs.memory import memory_of
from pld_search.costs.objectives import costs_of
from pld_search.costs.parameters import parameters_of
from pld_search.data.masking import IGNORED
from pld_search.model.bert import PldBertForPreTraining
from pld_search.model.build_model import classifier, load_bert, masked_lm, pretraining_model
from pld_search.model.export_model import SpecialIds, logits_difference, write_plain
from pld_search.specs.experiment import Batch, Data
from pld_search.specs.pretraining import Pretraining
from pld_search.training.held_out_losses import held_out_metrics
from pld_search.training.setup import open_setup
from pld_search.training.state import fresh
from pld_search.training.step import forward_backward
from pld_search.training.train_run import train
from tests.model.helpers import gates, randomise, spec

Builder = Callable[..., Any]
NSP = Pretraining(kind="mlm+nsp")
CALM = {"layers": 2, "hidden": 16, "intermediate": 32, "dropout": 0.0, "attention_dropout": 0.0}
DIGEST = "sha256:" + "0" * 64
DATA = Data(corpus=DIGEST, tokenizer=DIGEST, length=20)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_flops_and_parameters_are_those_of_the_model(norm: str) -> None:
    model, sequences = spec(norm=norm), 6
    network = pretraining_model(PldBertForPreTraining, model).train()
    assert parameters_of(model, NSP) == sum(parameter.numel() for parameter in network.parameters())
    ids = torch.randint(0, model.vocabulary, (sequences, DATA.length))
    places = torch.arange(1, 1 + DATA.predictions(20)).expand(sequences, -1)
    more = {"attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    targets = {"labels": ids.gather(1, places), "next_labels": torch.ones(sequences, dtype=torch.long)}
    forecast = step_flops(model, DATA, Batch(sequences=sequences), pretraining=NSP)
    for keep in ("111", "010", "000"):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            network(ids, positions=places, gates=gates(keep, 2.0), **more, **targets).loss.backward()
        assert counter.get_total_flops() == keep.count("1") * forecast.block + forecast.fixed


def test_memory_and_chance(experiment: Builder, execution: Builder) -> None:
    plain, pairs = (memory_of(experiment(pretraining=kind), execution(), 4) for kind in (None, "mlm+nsp"))
    model = experiment().model
    assert pairs.state - plain.state == 12 * (parameters_of(model, NSP) - parameters_of(model))
    assert costs_of(NSP).uniform_guess(100) == pytest.approx(math.log(100) + math.log(2))


def test_the_loss_does_not_depend_on_how_a_batch_is_cut(experiment: Builder, execution: Builder) -> None:
    what = experiment(pretraining="mlm+nsp", model=CALM, schedule="full")
    setup = open_setup(what, execution())
    state = fresh(setup)
    losses, norms = [], []
    for micro in (None, 1, 3):
        assert setup.fit is not None
        cut = replace(setup, fit=replace(setup.fit, size=micro or 4))
        losses.append(forward_backward(cut, state, 2, cut.batch_at(2), [None, None]).item())
        norms.append(torch.stack([p.grad.norm() for p in state.parameters if p.grad is not None]))
        state.optimizer.zero_grad(set_to_none=True)
    whole = setup.objective.batches(setup.corpus, what.data, what.batch, what.seed, what.steps).at(2)
    tensors = {name: torch.from_numpy(array) for name, array in whole.arrays.items()}
    expected = state.model.eval()(**tensors).loss.item()
    assert losses == pytest.approx([expected] * 3, rel=1e-5)
    for other in norms[1:]:
        torch.testing.assert_close(other, norms[0], rtol=1e-4, atol=1e-6)


def test_a_part_without_predictions_has_the_loss_of_its_pairs(experiment: Builder, execution: Builder) -> None:
    setup = open_setup(experiment(pretraining="mlm+nsp", model=CALM), execution())
    model, part = fresh(setup).model.eval(), setup.batch_at(0)[0][0]
    nothing = {**part.tensors, "labels": torch.full_like(part.tensors["labels"], IGNORED)}
    loss = setup.objective.loss(model, replace(part, tensors=nothing, shares=(0.0, 0.5)), None)
    assert loss.item() == pytest.approx(0.5 * model(**part.tensors).next_loss.item())


def test_held_out_metrics_are_those_of_all_pairs_at_once(experiment: Builder, execution: Builder) -> None:
    setup = open_setup(experiment(pretraining="mlm+nsp", model=CALM), execution())
    state = fresh(setup)
    randomise(state.model)
    found = held_out_metrics(setup, state.model, state.numerics, "validation")
    (whole,) = setup.held_out("validation")
    with torch.no_grad():
        once = state.model.eval()(**{name: torch.from_numpy(array) for name, array in whole.arrays.items()})
    right = (once.next_logits.argmax(-1) == torch.from_numpy(whole.arrays["next_labels"])).double().mean().item()
    assert found == {
        "loss": pytest.approx(once.loss.item(), rel=1e-5),
        "mlm_loss": pytest.approx(once.mlm_loss.item(), rel=1e-5),
        "nsp_loss": pytest.approx(once.next_loss.item(), rel=1e-5),
        "nsp_accuracy": pytest.approx(right),
    }


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resume_is_exact_and_the_run_ends_in_scores(
    experiment: Builder, execution: Builder, tmp_path: Path, precision: str
) -> None:
    what = experiment(
        steps=8, model={**CALM, "dropout": 0.1}, pretraining="mlm+nsp", precision=precision, tasks=precision == "fp32"
    )
    what = what.model_copy(update={"evaluation": what.evaluation.model_copy(update={"epochs": 1, "length": 24})})
    straight = train(what, execution(checkpoint_every=4), tmp_path / "straight")
    paused = train(what, execution(checkpoint_every=4), tmp_path / "cut", until=4)
    cut = train(what, execution(checkpoint_every=4), tmp_path / "cut")
    assert (paused.state, cut.state, straight.state) == ("paused", "finished", "finished")
    assert cut.series["train/loss"] == straight.series["train/loss"]
    names = {"valid/loss", "valid/mlm_loss", "valid/nsp_loss", "valid/nsp_accuracy", "test/loss", "test/nsp_accuracy"}
    assert names <= straight.final.keys()
    assert {name: cut.final[name] for name in names} == {name: straight.final[name] for name in names}
    one, other = (
        load_file(tmp_path / run / "checkpoints/step-00000008/model.safetensors") for run in ("cut", "straight")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    saved = load_bert(tmp_path / "cut" / "checkpoints" / "step-00000008")
    assert isinstance(saved, PldBertForPreTraining) and saved.pretrained_pooler is not None
    if precision == "fp32":
        assert straight.final["task/average"] == cut.final["task/average"]


def test_fine_tuning_starts_from_the_pooler() -> None:
    start = pretraining_model(PldBertForPreTraining, spec(), 1)
    randomise(start)
    tuned = classifier(spec(), 3, "classification", 2, start=start)
    assert torch.equal(tuned.pooler.dense.weight, start.pooler.dense.weight)
    plain = classifier(spec(), 3, "classification", 2, start=masked_lm(spec(), 1))
    assert not torch.equal(plain.pooler.dense.weight, tuned.pooler.dense.weight)
    assert torch.equal(plain.classifier.weight, tuned.classifier.weight)


@pytest.mark.parametrize(("norm", "name"), [("post", "BertForPreTraining"), ("pre", "RobertaPreLayerNormForMaskedLM")])
def test_export(norm: str, name: str, tmp_path: Path) -> None:
    model = pretraining_model(PldBertForPreTraining, spec(norm=norm), 1)
    randomise(model)
    assert write_plain(model, tmp_path, SpecialIds(0, 2, 3)) == name
    assert logits_difference(model, tmp_path, 0) < 1e-5
    if norm == "post":
        theirs = BertForPreTraining.from_pretrained(tmp_path)
        assert torch.equal(theirs.cls.seq_relationship.weight, model.next_sentence.weight)
        again = load_bert(tmp_path, model_class=PldBertForPreTraining)
        assert torch.equal(again.pooler.dense.weight, model.pooler.dense.weight)
        assert isinstance(load_bert(tmp_path).bert, type(model.bert))
