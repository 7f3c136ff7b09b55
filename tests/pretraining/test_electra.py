"""Replaced-token detection: what it costs, a loss that does not depend on how a batch is cut, and an exact resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.flops import step_flops
from pld_search.costs.forward import Forward
from pld_search.costs.layer import block_bytes
from pld_search.costs.memory import embedding_bytes, memory_of
from pld_search.costs.objectives import costs_of
from pld_search.costs.parameters import parameters_of
from pld_search.data.masking import IGNORED
from pld_search.model.build_model import load_bert, pretraining_model
from pld_search.model.electra import PldElectra
from pld_search.pretraining.electra import ReplacedTokens
from pld_search.specs.experiment import Batch, Data, Experiment
from pld_search.specs.pretraining import Electra
from pld_search.training.held_out_losses import held_out_metrics
from pld_search.training.setup import open_setup
from pld_search.training.state import fresh
from pld_search.training.step import forward_backward
from pld_search.training.train_run import train
from tests.model.helpers import gates, randomise, spec

Builder = Callable[..., Any]
CALM = {"layers": 2, "hidden": 32, "heads": 4, "intermediate": 64, "dropout": 0.0, "attention_dropout": 0.0}
DIGEST = "sha256:" + "0" * 64
DATA = Data(corpus=DIGEST, tokenizer=DIGEST, length=20)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("sizes", [{}, {"width": 0.5, "depth": 1 / 3}, {"width": 1}])
def test_flops_and_parameters_are_those_of_both_networks(norm: str, sizes: dict[str, float]) -> None:
    model, sequences, learns = spec(norm=norm), 6, Electra(kind="electra", generator=sizes)  # type: ignore[arg-type]
    network = pretraining_model(PldElectra, model, **ReplacedTokens(learns).model_settings(model)).train()
    assert parameters_of(model, learns) == sum(parameter.numel() for parameter in network.parameters())
    ids = torch.randint(4, model.vocabulary, (sequences, DATA.length))
    places = torch.arange(1, 1 + DATA.predictions(20)).expand(sequences, -1)
    given = {"positions": places, "labels": ids.gather(1, places), "words": torch.randint(0, 2**32, places.shape)}
    forecast = step_flops(model, DATA, Batch(sequences=sequences), pretraining=learns)
    assert forecast.rest > 0
    for keep in ("111", "010", "000"):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            found = network(ids, **given, gates=gates(keep, 2.0))
            (found.mlm_loss + 50 * found.rtd_loss).backward()
        assert counter.get_total_flops() == keep.count("1") * forecast.block + forecast.fixed


def test_memory_and_chance(experiment: Builder, execution: Builder) -> None:
    plain, both = (memory_of(experiment(pretraining=kind, model=CALM), execution(), 4) for kind in (None, "electra"))
    assert both.state > plain.state and both.activations > plain.activations
    guess = costs_of(Electra(kind="electra", weight=10)).uniform_guess(100)
    assert guess == pytest.approx(math.log(100) + 10 * math.log(2))


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_autograd_keeps_what_is_forecast(dropout: float) -> None:
    learns = Electra(kind="electra", generator={"width": 0.5, "depth": 1.0})  # type: ignore[arg-type]
    model = spec(layers=2, hidden=64, intermediate=256, max_length=64, dropout=dropout, attention_dropout=dropout)
    network = pretraining_model(PldElectra, model, **ReplacedTokens(learns).model_settings(model)).train()
    of = Forward(model, 8, 64, 10, half=False, cuda=False)
    ids, places = torch.randint(4, 101, (8, 64)), torch.arange(1, 11).expand(8, -1)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    seen: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    given = {"positions": places, "labels": ids.gather(1, places), "words": torch.randint(0, 2**32, places.shape)}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = network(ids, **given)
    kept = sum(tensor.untyped_storage().nbytes() for tensor in seen.values())
    costs = costs_of(learns)
    forecast = embedding_bytes(of) + 2 * block_bytes(of) + costs.kept_bytes(of)
    assert found.mlm_loss.requires_grad and forecast < 1.05 * kept
    assert kept < 1.05 * (forecast + costs.head_bytes(of))


def test_the_loss_does_not_depend_on_how_a_batch_is_cut(experiment: Builder, execution: Builder) -> None:
    what = experiment(pretraining="electra", model=CALM, schedule="full")
    setup = open_setup(what, execution())
    state = fresh(setup)
    losses, norms = [], []
    for micro in (4, 1, 3):
        assert setup.fit is not None
        cut = replace(setup, fit=replace(setup.fit, size=micro))
        losses.append(forward_backward(cut, state, 2, cut.batch_at(2), [None, None]).item())
        norms.append(torch.stack([p.grad.norm() for p in state.parameters if p.grad is not None]))
        state.optimizer.zero_grad(set_to_none=True)
    whole = setup.objective.batches(setup.corpus, what.data, what.batch, what.seed, what.steps).at(2)
    found = state.model.eval()(**{name: torch.from_numpy(array) for name, array in whole.arrays.items()})
    assert losses == pytest.approx([(found.mlm_loss + 50 * found.rtd_loss).item()] * 3, rel=1e-5)
    for other in norms[1:]:
        torch.testing.assert_close(other, norms[0], rtol=1e-4, atol=1e-5)


def test_a_part_without_predictions_has_the_loss_of_its_positions(experiment: Builder, execution: Builder) -> None:
    setup = open_setup(experiment(pretraining="electra", model=CALM), execution())
    model, part = fresh(setup).model.eval(), setup.batch_at(0)[0][0]
    nothing = {**part.tensors, "labels": torch.full_like(part.tensors["labels"], IGNORED)}
    loss = setup.objective.loss(model, replace(part, tensors=nothing, shares=(0.0, 0.5)), None)
    assert loss.item() == pytest.approx(25 * model(**nothing).rtd_loss.item())


def test_held_out_metrics_are_those_of_all_sequences_at_once(experiment: Builder, execution: Builder) -> None:
    setup = open_setup(experiment(pretraining="electra", model=CALM), execution())
    state = fresh(setup)
    randomise(state.model)
    found = held_out_metrics(setup, state.model, state.numerics, "validation")
    (whole,) = setup.held_out("validation")
    with torch.no_grad():
        once = state.model.eval()(**{name: torch.from_numpy(array) for name, array in whole.arrays.items()})
    said, true = once.logits > 0, once.replaced
    right = int((said & true).sum())
    assert found["rtd_f1"] == pytest.approx(2 * right / int(said.sum() + true.sum()))
    assert found["rtd_constant_f1"] == pytest.approx(2 * int(true.sum()) / (int(true.sum()) + true.numel()))
    pairs = once.logits[true][:, None] - once.logits[~true]
    assert found["rtd_auc"] == pytest.approx(float((pairs > 0).double().mean()), abs=0.01)
    assert found["mlm_loss"] == pytest.approx(once.mlm_loss.item(), rel=1e-5)
    assert found["rtd_loss"] == pytest.approx(once.rtd_loss.item(), rel=1e-5)
    assert found["loss"] == pytest.approx(found["mlm_loss"] + 50 * found["rtd_loss"])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resume_is_exact(experiment: Builder, execution: Builder, tmp_path: Path, precision: str) -> None:
    learns = {"kind": "electra", "generator": {"width": "1/2"}, "weight": 20}
    what = experiment(steps=8, model={**CALM, "dropout": 0.1}, pretraining=learns, precision=precision)
    assert Experiment.model_validate(what.model_dump(mode="json")) == what
    straight = train(what, execution(checkpoint_every=4), tmp_path / "straight")
    train(what, execution(checkpoint_every=4), tmp_path / "cut", until=4)
    cut = train(what, execution(checkpoint_every=4), tmp_path / "cut")
    assert (cut.state, straight.state) == ("finished", "finished")
    assert cut.series["train/loss"] == straight.series["train/loss"]
    names = {"valid/loss", "valid/mlm_loss", "valid/rtd_loss", "valid/rtd_f1", "test/rtd_loss"}
    assert {name: cut.final[name] for name in names} == {name: straight.final[name] for name in names}
    one, other = (
        load_file(tmp_path / run / "checkpoints/step-00000008/model.safetensors") for run in ("cut", "straight")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    saved = load_bert(tmp_path / "cut" / "checkpoints" / "step-00000008")
    assert isinstance(saved, PldElectra) and saved.config.generator_hidden_size == 16


def test_heads_that_do_not_divide_the_width_are_refused(experiment: Builder) -> None:
    with pytest.raises(ValidationError, match="the generator would be 11 wide with 3 heads"):
        experiment(pretraining={"kind": "electra", "generator": {"width": "1/3"}}, model={**CALM, "heads": 8})
