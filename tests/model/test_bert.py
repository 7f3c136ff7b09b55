"""Heads, losses, padded vocabulary, dropout, precision, saving and loading."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from pld_search.errors import ConfigError
from pld_search.model.bert import PldBertForMaskedLM, PldBertForSequenceClassification, PldBertModel
from pld_search.model.build_model import classifier, masked_lm
from pld_search.model.transformers_config import PldBertConfig
from tests.model.helpers import gates, gradients, inputs, randomise, spec


def ready(**changes: Any) -> PldBertForMaskedLM:
    model = masked_lm(spec(**changes))
    randomise(model)
    return model.train()


def at_positions(labels: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions (B, K) that hold every label, filled up with unlabelled ones, and the labels there."""
    positions = (labels == -100).long().argsort(dim=1, stable=True)[:, :count]
    return positions, labels.gather(1, positions)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_head_at_positions_equals_full_head_there(norm: str) -> None:
    model, batch = ready(norm=norm), inputs()
    positions, labels = at_positions(batch["labels"], 9)
    assert (labels == -100).any() and ((labels != -100).sum() == (batch["labels"] != -100).sum())
    full = model(**batch)
    full.loss.backward()
    expected = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad(set_to_none=True)
    some = model(**{**batch, "labels": labels}, positions=positions)
    some.loss.backward()
    rows = torch.arange(4)[:, None]
    assert some.logits.shape == (4, 9, 101)
    assert_close(some.logits, full.logits[rows, positions], rtol=1e-5, atol=1e-5)
    assert_close(some.loss, full.loss)
    for name, gradient in gradients(model).items():
        assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_padded_rows_are_never_predicted_and_never_trained() -> None:
    model, batch = ready(), inputs()
    words = model.bert.embeddings.words.weight
    assert words.shape == (128, 32)
    with torch.no_grad():
        words[101:] = 1000.0  # any logit a padded row had would win
    out = model(**batch)
    assert out.logits.shape == (4, 12, 101)
    flat = out.logits.reshape(-1, 101).detach()
    assert_close(out.loss.detach(), F.cross_entropy(flat, batch["labels"].reshape(-1)))
    out.loss.backward()
    assert torch.isfinite(words.grad).all() and not words.grad[101:].any() and words.grad[:101].any()


def test_a_full_multiple_of_64_is_not_padded() -> None:
    model = ready(vocabulary=128)
    assert model.bert.embeddings.words.weight.shape == (128, 32)
    assert model(**inputs(vocabulary=128)).logits.shape == (4, 12, 128)


def test_an_untrained_model_guesses_uniformly() -> None:
    loss = masked_lm(spec())(**inputs(batch=16)).loss
    assert abs(loss.item() - math.log(101)) < 0.1


def test_losses_of_classification_and_regression() -> None:
    batch = inputs()
    del batch["labels"]
    for labels, kind, targets in (
        (3, "classification", torch.tensor([0, 1, 2, 1])),
        (1, "regression", torch.tensor([0.0, 0.5, 5.0, 2.0])),
    ):
        model = classifier(spec(), labels, kind)  # type: ignore[arg-type]
        randomise(model)
        out = model.eval()(**batch, labels=targets)
        assert out.logits.shape == (4, labels)
        expected = F.cross_entropy(out.logits, targets) if labels > 1 else ((out.logits[:, 0] - targets) ** 2).mean()
        assert_close(out.loss, expected)


def test_padding_reaches_no_real_token() -> None:
    for positions in ("learned", "alibi"):
        model, batch = ready(positions=positions), inputs()
        other = batch["input_ids"].where(batch["attention_mask"].bool(), torch.tensor(50))
        real = batch["attention_mask"].bool()
        one = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).logits[real]
        assert_close(model(other, batch["attention_mask"], batch["token_type_ids"]).logits[real], one)
        assert not torch.allclose(model(other).logits[real], one)


def test_dropout_in_training_only_and_by_the_generator() -> None:
    model, batch = ready(dropout=0.2, attention_dropout=0.2), inputs()

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return model(**batch).loss.item()

    assert loss(0) == loss(0) and loss(0) != loss(1)
    model.eval()
    assert loss(0) == loss(1)


@pytest.mark.parametrize("field", ["dropout", "attention_dropout"])
def test_each_dropout_has_an_effect(field: str) -> None:
    batch = inputs()
    plain, dropping = ready(), ready(**{field: 0.5})
    assert plain(**batch).loss.item() != dropping(**batch).loss.item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("positions", ["learned", "alibi"])
def test_autocast_on_the_cpu(dtype: torch.dtype, positions: str) -> None:
    model = masked_lm(spec(positions=positions)).train()
    batch = inputs()
    exact = model(**batch).loss.item()
    with torch.autocast("cpu", dtype=dtype):
        out = model(**batch, gates=gates("101", 2.0))
        full = model(**batch).loss
    assert out.logits.dtype == dtype and out.loss.dtype == torch.float32
    assert abs(full.item() - exact) < 0.05
    out.loss.backward()
    trained = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(trained) > 20 and all(
        torch.isfinite(gradient).all() and gradient.dtype == torch.float32 for gradient in trained
    )


@pytest.mark.parametrize("positions", ["learned", "alibi"])
def test_save_and_load_masked_lm(tmp_path: Path, positions: str) -> None:
    model = ready(positions=positions, norm="post").eval()
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    again = PldBertForMaskedLM.from_pretrained(tmp_path)
    assert (again.config.norm, again.config.positions, again.config.vocab_size) == ("post", positions, 101)
    assert torch.equal(again(**inputs()).logits, model(**inputs()).logits)
    encoder = PldBertModel.from_pretrained(tmp_path)
    assert torch.equal(
        encoder(inputs()["input_ids"]).last_hidden_state, model.bert(inputs()["input_ids"]).last_hidden_state
    )


def test_save_and_load_classifier(tmp_path: Path) -> None:
    model = classifier(spec(), 3, "classification")
    randomise(model)
    model.eval().save_pretrained(tmp_path)
    again = PldBertForSequenceClassification.from_pretrained(tmp_path)
    batch = inputs()
    del batch["labels"]
    assert again.config.num_labels == 3
    assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_an_encoder_without_a_head_loads_with_initial_values_not_garbage(tmp_path: Path) -> None:
    ready().bert.save_pretrained(tmp_path)
    again = PldBertForMaskedLM.from_pretrained(tmp_path)
    assert not again.head.bias.any() and torch.equal(again.head.norm.weight, torch.ones(32))


def test_config_is_not_shared_between_models() -> None:
    one = masked_lm(spec())
    two = classifier(spec(), 3, "classification", start=one)
    assert one.config is not two.config and one.config.num_labels == 2


@pytest.mark.parametrize(("field", "value"), [("norm", "between"), ("positions", "rotary"), ("num_attention_heads", 5)])
def test_bad_configurations_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        PldBertConfig(**{"hidden_size": 32, "num_attention_heads": 4, field: value})


def test_more_positions_than_the_table_has() -> None:
    with pytest.raises(ValueError, match="24 rows"):
        ready()(torch.zeros(1, 25, dtype=torch.long))
    ready(positions="alibi")(torch.zeros(1, 25, dtype=torch.long))


def test_models_can_be_copied_after_use() -> None:
    model = ready(positions="alibi")
    out = model(**inputs()).loss
    assert torch.equal(copy.deepcopy(model)(**inputs()).loss, out)
