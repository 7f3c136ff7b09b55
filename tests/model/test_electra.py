"""ELECTRA's two networks against transformers' classes in fp32, every parameter random; and the sampling by words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining, ElectraModel

from pld_search.errors import ConfigError
from pld_search.model.build_model import classifier, load_bert, masked_lm, pretraining_model
from pld_search.model.electra import PldElectra, replacement, sampled
from pld_search.model.export_model import SpecialIds, logits_difference, write_plain
from pld_search.model.pretrained import checkpoint_spec
from pld_search.model.transformers_config import PldBertConfig
from pld_search.model.transformers_keys import from_electra, from_transformers, to_electra
from tests.model.helpers import gradients, randomise, spec
from tests.model.test_parity import SHAPE, ours

SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
GENERATOR = {
    "generator_hidden_size": 8,
    "generator_layers": 2,
    "generator_heads": 2,
    "generator_intermediate_size": 16,
}
LENGTH, MASKED = 12, 4


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(4, 101, (5, LENGTH), generator=generator)
    positions = torch.stack([torch.randperm(LENGTH - 1, generator=generator)[:MASKED].sort().values + 1 for _ in ids])
    labels = ids.gather(1, positions)
    labels[0, -1] = -100
    positions[0, -1] = 0
    words = torch.randint(0, 2**32, (5, MASKED), generator=generator)
    return {"input_ids": ids.scatter(1, positions[:, :3], 4), "positions": positions, "labels": labels, "words": words}


def networks() -> tuple[PldElectra, ElectraForMaskedLM, ElectraForPreTraining]:
    """Ours, and theirs with one embedding."""
    common = {**SHAPE, "max_position_embeddings": 24, "embedding_size": 32, "pad_token_id": 0}
    small, large = (
        ElectraForMaskedLM(ElectraConfig(**{**common, **SIZES})),
        ElectraForPreTraining(ElectraConfig(**common)),
    )
    large.electra.embeddings = small.electra.embeddings
    randomise(small)
    randomise(large)
    config = ours("post", 0, **GENERATOR)
    model = PldElectra(config)
    model.load_state_dict(translated(small.state_dict(), large.state_dict(), config), strict=True)
    return model.train(), small.train(), large.train()


def translated(small: dict[str, Tensor], large: dict[str, Tensor], config: PldBertConfig) -> dict[str, Tensor]:
    """Their weights or gradients under our names."""
    layers = {name.replace("electra.", "bert."): value for name, value in small.items() if ".encoder." in name}
    own = {name.replace("bert.", "generator.", 1): value for name, value in from_transformers(layers, config).items()}
    heads = {
        "generator.project": "electra.embeddings_project",
        "generator.head.dense": "generator_predictions.dense",
        "generator.head.norm": "generator_predictions.LayerNorm",
    }
    own |= {
        f"{mine}.{kind}": small[f"{theirs}.{kind}"] for mine, theirs in heads.items() for kind in ("weight", "bias")
    }
    own["generator.head.bias"] = small["generator_lm_head.bias"]
    encoder = {name: value for name, value in large.items() if "embeddings_project" not in name}
    return {**own, **from_electra(encoder, config)}


def test_both_networks_forward_and_every_gradient() -> None:
    model, small, large = networks()
    given = batch()
    found = model(**given)
    everywhere = torch.full((5, LENGTH), -100)
    real = given["labels"] != -100
    rows = torch.arange(5)[:, None].expand_as(real)
    everywhere[rows[real], given["positions"][real]] = given["labels"][real]
    first = small(given["input_ids"], labels=everywhere)
    assert_close(found.generated[real], first.logits[rows[real], given["positions"][real]], rtol=1e-5, atol=1e-5)
    tokens = sampled(found.generated, given["words"])
    original, shown = replacement(given["input_ids"], given["positions"], given["labels"], tokens)
    second = large(shown, labels=(shown != original).long())
    assert torch.equal(found.replaced, shown != original) and 0 < int(found.replaced.sum()) < 5 * MASKED
    assert_close(found.logits, second.logits, rtol=1e-5, atol=1e-5)
    assert_close(found.mlm_loss, first.loss, rtol=1e-5, atol=1e-5)
    assert_close(found.rtd_loss, second.loss, rtol=1e-5, atol=1e-5)
    (found.mlm_loss + 50 * found.rtd_loss).backward()
    (first.loss + 50 * second.loss).backward()
    expected = translated(gradients(small), gradients(large), model.config)
    mine = gradients(model)
    assert mine.keys() == expected.keys() and len(mine) > 70
    for name, gradient in mine.items():
        assert gradient.abs().max() > 0, name
        size = max(1.0, float(expected[name].abs().max()))
        assert_close(gradient, expected[name], rtol=1e-5, atol=1e-5 * size, msg=lambda text, n=name: f"{n}: {text}")


def test_words_sample_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -torch.inf]).log_softmax(0).expand(1, 4096, 4)
    words = torch.arange(4096)[None] * (2**32 // 4096)
    found = np.bincount(sampled(logits, words)[0].numpy(), minlength=4) / 4096
    assert found == pytest.approx(logits[0, 0].exp().numpy(), abs=2e-3)
    ends = sampled(logits[:, :2], torch.tensor([[0, 2**32 - 1]]))
    assert ends.tolist() == [[0, 2]]


def test_what_has_no_target_is_not_replaced() -> None:
    given = batch()
    tokens = torch.full_like(given["labels"], 99)
    original, shown = replacement(given["input_ids"], given["positions"], given["labels"], tokens)
    assert torch.equal(original[0, 0], given["input_ids"][0, 0]) and torch.equal(shown[0, 0], original[0, 0])
    changed = (shown != original).sum(1)
    assert changed.tolist()[0] <= MASKED - 1 and (shown == 99).sum() >= 5 * MASKED - 2


def electra(norm: str = "post", **changes: Any) -> PldElectra:
    model = pretraining_model(PldElectra, spec(norm=norm, **changes), 1, **GENERATOR)
    randomise(model)
    return model


def test_the_discriminator_is_exported_and_read_again(tmp_path: Path) -> None:
    model = electra()
    assert write_plain(model, tmp_path, SpecialIds(0, 2, 3)) == "ElectraForPreTraining"
    assert logits_difference(model, tmp_path, 0) < 1e-5
    assert_same(ElectraModel.from_pretrained(tmp_path).encoder, to_electra(model.state_dict(), model.config))
    again = load_bert(tmp_path)
    for name, tensor in again.bert.state_dict().items():
        rows = 101 if name == "embeddings.words.weight" else None  # what pads the vocabulary is not exported
        assert_close(tensor[:rows], model.bert.state_dict()[name][:rows])
    on = pretraining_model(PldElectra, checkpoint_spec(tmp_path), 1, tmp_path, **GENERATOR)
    assert torch.equal(on.detector.dense.weight, model.detector.dense.weight)


def assert_same(theirs: nn.Module, expected: dict[str, Tensor]) -> None:
    for name, tensor in theirs.state_dict().items():
        assert_close(tensor, expected[f"electra.encoder.{name}"])


def test_a_pre_norm_discriminator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="transformers' Electra is post-norm"):
        write_plain(electra("pre"), tmp_path, SpecialIds(0, 2, 3))


def test_our_checkpoint_comes_back_whole_and_fine_tunes_from_the_discriminator(tmp_path: Path) -> None:
    model = electra("pre")
    model.config.architectures = ["PldElectra"]
    model.save_pretrained(tmp_path)
    again = load_bert(tmp_path)
    assert isinstance(again, PldElectra)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    tuned = classifier(spec(norm="pre"), 2, "classification", 5, start=model)
    fresh = classifier(spec(norm="pre"), 2, "classification", 5, start=masked_lm(spec(norm="pre")))
    assert torch.equal(tuned.bert.embeddings.words.weight, model.bert.embeddings.words.weight)
    assert torch.equal(tuned.pooler.dense.weight, fresh.pooler.dense.weight)
