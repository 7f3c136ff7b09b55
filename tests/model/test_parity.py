"""Against transformers in fp32, to 1e-5: forward, loss and every gradient by name, every parameter random, with padding
and token types.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    RobertaPreLayerNormConfig,
    RobertaPreLayerNormForMaskedLM,
)

from pld_search.errors import CheckpointError
from pld_search.model.bert import PldBertForMaskedLM, PldBertForPreTraining, PldBertForSequenceClassification
from pld_search.model.transformers_config import PldBertConfig
from pld_search.model.transformers_keys import from_transformers, to_transformers
from tests.model.helpers import gradients, inputs, randomise

SHAPE: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-6,
    "type_vocab_size": 2,
}
POST = BertConfig(**SHAPE, max_position_embeddings=24)
PRE = RobertaPreLayerNormConfig(**SHAPE, max_position_embeddings=26, pad_token_id=1)


def ours(norm: str, pad: int, **more: Any) -> PldBertConfig:
    return PldBertConfig(**SHAPE, norm=norm, max_position_embeddings=24, pad_token_id=pad, **more)


def loaded(model: nn.Module, theirs: nn.Module) -> nn.Module:
    model.load_state_dict(from_transformers(theirs.state_dict(), model.config), strict=True)
    return model.train()


def assert_gradients_match(model: nn.Module, theirs: nn.Module) -> None:
    mine = gradients(model)
    expected = from_transformers(gradients(theirs), model.config)
    assert mine.keys() == expected.keys() and len(mine) > 40
    for name, gradient in mine.items():
        assert gradient.abs().max() > 0, name
        assert_close(gradient, expected[name], rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def masked_lm_pair(norm: str) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    if norm == "post":
        theirs: nn.Module = BertForMaskedLM(copy.deepcopy(POST))
        pad = 0
    else:
        theirs = RobertaPreLayerNormForMaskedLM(copy.deepcopy(PRE))
        pad = 1
    randomise(theirs)
    if norm == "pre":  # what padded tokens see there; it reaches no real token
        with torch.no_grad():
            theirs.roberta_prelayernorm.embeddings.position_embeddings.weight[:2] = 0
    return loaded(PldBertForMaskedLM(ours(norm, pad)), theirs), theirs.train(), inputs(padding=pad)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_masked_lm_forward_and_every_gradient(norm: str) -> None:
    model, theirs, batch = masked_lm_pair(norm)
    mine, expected = model(**batch), theirs(**batch)
    real = batch["attention_mask"].bool()
    assert not real.all()
    assert_close(mine.logits[real], expected.logits[real], rtol=1e-5, atol=1e-5)
    assert_close(mine.loss, expected.loss, rtol=1e-5, atol=1e-5)
    mine.loss.backward()
    expected.loss.backward()
    assert_gradients_match(model, theirs)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_masked_lm_without_mask_and_types(norm: str) -> None:
    model, theirs, _ = masked_lm_pair(norm)
    ids = inputs(padding=7)["input_ids"]
    assert_close(model(ids).logits, theirs(ids).logits, rtol=1e-5, atol=1e-5)


def test_the_padding_row_gets_no_gradient_as_an_input() -> None:
    model, theirs, batch = masked_lm_pair("post")
    model(batch["input_ids"], labels=batch["labels"]).loss.backward()
    theirs(batch["input_ids"], labels=batch["labels"]).loss.backward()
    assert (batch["input_ids"] == 0).any()
    mine = model.bert.embeddings.words.weight.grad
    assert_close(mine[:101], theirs.bert.embeddings.word_embeddings.weight.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("labels", [1, 3])
def test_classification_forward_and_every_gradient(labels: int) -> None:
    config = copy.deepcopy(POST)
    config.num_labels = labels
    theirs = BertForSequenceClassification(config)
    randomise(theirs)
    model = loaded(PldBertForSequenceClassification(ours("post", 0, num_labels=labels)), theirs)
    batch = inputs()
    batch["labels"] = torch.tensor([0.3, -1.0, 2.0, 0.0]) if labels == 1 else torch.tensor([0, 2, 1, 2])
    mine, expected = model(**batch), theirs.train()(**batch)
    assert_close(mine.logits, expected.logits, rtol=1e-5, atol=1e-5)
    assert_close(mine.loss, expected.loss, rtol=1e-5, atol=1e-5)
    mine.loss.backward()
    expected.loss.backward()
    assert_gradients_match(model, theirs)


def test_both_heads_of_bert_forward_and_every_gradient() -> None:
    theirs = BertForPreTraining(copy.deepcopy(POST))
    randomise(theirs)
    model = PldBertForPreTraining(ours("post", 0))
    state = from_transformers(theirs.state_dict(), model.config)
    pair_head = {f"next_sentence.{kind}": getattr(theirs.cls.seq_relationship, kind) for kind in ("weight", "bias")}
    model.load_state_dict({**state, **pair_head}, strict=True)
    batch, following = inputs(), torch.tensor([0, 1, 1, 0])
    mine = model.train()(**batch, next_labels=following)
    expected = theirs.train()(**batch, next_sentence_label=following)
    assert_close(mine.logits, expected.prediction_logits, rtol=1e-5, atol=1e-5)
    assert_close(mine.next_logits, expected.seq_relationship_logits, rtol=1e-5, atol=1e-5)
    assert_close(mine.loss, expected.loss, rtol=1e-5, atol=1e-5)
    mine.loss.backward()
    expected.loss.backward()
    found, wanted = gradients(model), gradients(theirs)
    assert len(found) == len(from_transformers(wanted, model.config)) + 2 > 40
    for name, gradient in to_transformers(found, model.config).items():
        assert gradient.abs().max() > 0, name
        assert_close(gradient, wanted[name], rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_both_losses_at_positions_without_logits_are_the_same() -> None:
    model = PldBertForPreTraining(ours("pre", 1))
    randomise(model)
    batch, following = inputs(), torch.tensor([0, 1, 1, 0])
    everywhere = model(**batch, next_labels=following)
    positions = (batch["labels"] != -100).long().sort(dim=1, descending=True, stable=True).indices[:, :8]
    batch["labels"] = batch["labels"].gather(1, positions)
    there = model(**batch, positions=positions, next_labels=following, return_logits=False)
    assert there.logits is None
    assert_close(there.mlm_loss, everywhere.mlm_loss)
    assert_close(there.next_loss, everywhere.next_loss)


def test_alibi_has_no_counterpart_there() -> None:
    config = ours("pre", 1, positions="alibi")
    with pytest.raises(CheckpointError, match="ALiBi"):
        to_transformers(PldBertForMaskedLM(config).state_dict(), config)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_keys_there_and_back(norm: str) -> None:
    model, theirs, _ = masked_lm_pair(norm)
    back = to_transformers(model.state_dict(), model.config)
    expected = theirs.state_dict()
    decoder = {name for name in expected if ".decoder." in name}
    assert back.keys() == expected.keys() - decoder and len(decoder) == 2
    for name, tensor in back.items():
        assert torch.equal(tensor, expected[name]), name
