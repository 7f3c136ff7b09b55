"""Against transformers' ModernBERT and NomicBert in fp32, to 1e-5: forward, loss and every gradient by name, every
parameter random, with padding; and their checkpoints, there and back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import ModernBertConfig, ModernBertForMaskedLM, NomicBertConfig, NomicBertForMaskedLM

from pld_search.errors import CheckpointError, ConfigError
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.build_model import load_bert, masked_lm
from pld_search.model.export_model import SpecialIds, logits_difference, write_plain
from pld_search.model.pretrained import checkpoint_config, checkpoint_digest, checkpoint_spec
from pld_search.model.rotary_configs import from_modern, from_nomic
from pld_search.model.rotary_keys import from_rotary, to_rotary
from tests.model.helpers import gradients, inputs, randomise, spec

SHAPE: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "pad_token_id": 0,
}
MODERN: dict[str, Any] = {**SHAPE, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
LOCAL = {"local_attention": 6, "global_attn_every_n_layers": 3}
BIASED = {"mlp_bias": True, "attention_bias": True, "norm_bias": True, "classifier_bias": True}
NORMS_BIASED = {"norm_bias": True, "classifier_bias": True}
UNTIED = {"tie_word_embeddings": False}
SILU = {"hidden_activation": "silu"}
FULL = {"global_attn_every_n_layers": 1}
CASES: dict[str, dict[str, Any]] = {
    "as published": LOCAL,
    "full attention": FULL,
    "biased, untied": {**LOCAL, **BIASED, **UNTIED},
    "norms biased, silu": {**FULL, **NORMS_BIASED, **SILU},
    "own bases": {**LOCAL, "global_rope_theta": 500.0, "local_rope_theta": 50.0},
}
IDS = SpecialIds(pad=0, cls=2, sep=3)


def modern(name: str) -> nn.Module:
    theirs: nn.Module = ModernBertForMaskedLM(ModernBertConfig(**MODERN, **CASES[name])).train()
    randomise(theirs)
    return theirs


def nomic(activation: str) -> nn.Module:
    theirs: nn.Module = NomicBertForMaskedLM(NomicBertConfig(**SHAPE, hidden_act=activation)).train()
    randomise(theirs)
    return theirs


def assert_same(theirs: nn.Module, batch: dict[str, Tensor]) -> None:
    """Forward, loss and all gradients of theirs and of ours with their weights."""
    read = from_modern if isinstance(theirs, ModernBertForMaskedLM) else from_nomic
    config = read(theirs.config.to_dict(), ("model",))
    ours = PldBertForMaskedLM(config)
    ours.load_state_dict(from_rotary(theirs.state_dict(), config), strict=True)
    mine, expected = ours.train()(**batch), theirs(**batch)
    real = batch["attention_mask"].bool()
    assert not real.all()
    assert_close(mine.logits[real], expected.logits[real], rtol=1e-5, atol=1e-5)
    assert_close(mine.loss, expected.loss, rtol=1e-5, atol=1e-5)
    mine.loss.backward()
    expected.loss.backward()
    found, wanted = to_rotary(gradients(ours), config), gradients(theirs)
    assert found.keys() == wanted.keys() and len(found) > 20
    for name, gradient in found.items():
        assert gradient.abs().max() > 0, name
        assert_close(gradient, wanted[name], rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_modern_bert_forward_and_every_gradient(name: str) -> None:
    batch = inputs(length=17)
    del batch["token_type_ids"]
    assert_same(modern(name), batch)


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_nomic_bert_forward_and_every_gradient(activation: str) -> None:
    assert_same(nomic(activation), inputs(length=17))


@pytest.mark.parametrize("theirs", [modern("as published"), modern("biased, untied"), nomic("silu"), nomic("gelu")])
def test_a_checkpoint_there_and_back(theirs: nn.Module, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "theirs")
    found = checkpoint_spec(tmp_path / "theirs")
    assert found.positions == "rope" and found.checkpoint == checkpoint_digest(tmp_path / "theirs")
    model = load_bert(tmp_path / "theirs")
    assert write_plain(model, tmp_path / "back", IDS) == type(theirs).__name__
    assert logits_difference(model, tmp_path / "back", 0) < 1e-5
    assert checkpoint_digest(tmp_path / "back") == found.checkpoint
    again = type(theirs).from_pretrained(tmp_path / "back")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_new_network_with_every_option_that_modern_bert_has(tmp_path: Path) -> None:
    """`depth_scaled_norm` is folded into the norms."""
    model = masked_lm(
        spec(
            positions="rope",
            rope_base=300.0,
            feed_forward="swiglu",
            bias=False,
            token_types=False,
            first_norm=False,
            attention={"local": 4, "global_every": 2, "rope_base": 70.0},
            tie_embeddings=False,
            depth_scaled_norm=True,
        )
    )
    randomise(model)
    assert write_plain(model, tmp_path, IDS) == "ModernBertForMaskedLM"
    assert logits_difference(model, tmp_path, 0) < 1e-5
    assert checkpoint_config(tmp_path).local_rope_base == 70.0


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"positions": "rope"}, {"feed_forward", "token_types", "first_norm"}),
        ({"positions": "rope", "norm": "post"}, {"feed_forward", "bias"}),
        ({"positions": "rope", "norm": "post", "feed_forward": "swiglu", "bias": "norms"}, {"feed_forward"}),
        ({"positions": "alibi", "norm_kind": "rms", "qk_norm": True}, {"positions", "norm_kind", "qk_norm"}),
        ({"norm": "sandwich"}, {"norm"}),
        ({"feed_forward": "geglu", "bias": False, "first_norm": False}, {"feed_forward", "bias", "first_norm"}),
        (
            {"attention": {"local": 4, "global_every": 2}, "tie_embeddings": False, "token_types": False},
            {"attention", "tie_embeddings", "token_types"},
        ),
    ],
)
def test_what_no_class_computes_is_refused(changes: dict[str, Any], keys: set[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_plain(masked_lm(spec(**changes)), tmp_path, IDS)
    assert {problem.path[-1] for problem in caught.value.problems} == keys


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mlp_bias": True}, {"mlp_bias", "norm_bias"}),
        ({"classifier_bias": True}, {"classifier_bias"}),
        ({"decoder_bias": False}, {"decoder_bias"}),
        ({"hidden_activation": "relu"}, {"hidden_activation"}),
        (
            {"layer_types": ["full_attention", "full_attention", "sliding_attention", "sliding_attention"]},
            {"layer_types"},
        ),
    ],
)
def test_what_our_encoder_does_not_compute_is_refused(changes: dict[str, Any], named: set[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        from_modern(ModernBertConfig(**MODERN, **changes).to_dict(), ("model", "from"))
    assert {problem.message.split()[0] for problem in caught.value.problems} == named


@pytest.mark.parametrize(
    "written",
    [
        {
            "global_attn_every_n_layers": 3,
            "global_rope_theta": 160000.0,
            "local_rope_theta": 10000.0,
            "norm_eps": 1e-05,
        },
        {"num_hidden_layers": 5, "global_attn_every_n_layers": 2, "global_rope_theta": 80000, "local_attention": 64},
        {},
    ],
)
def test_files_of_earlier_versions_are_read_as_transformers_reads_them(written: dict[str, Any]) -> None:
    """As published checkpoints write their global layers and bases; fields that are not there have their defaults."""
    theirs = ModernBertConfig.from_dict(dict(written)).to_dict()
    assert from_modern(written, ("model",)) == from_modern(theirs, ("model",))
    assert from_nomic({}, ("model",)) == from_nomic(NomicBertConfig().to_dict(), ("model",))


def test_a_decoder_that_should_be_tied_and_is_not_is_refused() -> None:
    theirs = modern("as published")
    state = dict(theirs.state_dict())
    state["decoder.weight"] = state["decoder.weight"] + 1
    config = from_modern(theirs.config.to_dict(), ("model",))
    with pytest.raises(CheckpointError, match="tied"):
        from_rotary(state, config)
    del state["decoder.weight"]
    with pytest.raises(CheckpointError, match="no place"):
        from_rotary({**state, "adapter.weight": torch.zeros(1)}, config)
