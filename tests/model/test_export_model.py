"""Exported folders against our own model, every parameter random: logits, classes, padding of the vocabulary, scales,
pruning, what is refused.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    RobertaPreLayerNormForMaskedLM,
    RobertaPreLayerNormModel,
)

from pld_search.errors import CheckpointError, ConfigError
from pld_search.model import export_model
from pld_search.model.build_model import load_bert, masked_lm
from pld_search.model.export_model import Carried, SpecialIds, logits_difference, write_plain
from pld_search.model.pretrained import carried_heads, checkpoint_digest
from pld_search.schedules.plan import Gates
from tests.model.helpers import inputs, randomise, spec
from tests.model.test_parity import POST, PRE

IDS = SpecialIds(pad=3, cls=1, sep=2)


def ours(**changes: Any) -> Any:
    model = masked_lm(spec(**changes))
    randomise(model)
    with torch.no_grad():
        model.bert.embeddings.words.weight[101:] = 9.0  # rows that no token has must not reach the export
    return model.eval()


def batch() -> dict[str, torch.Tensor]:
    values = inputs(padding=IDS.pad)
    del values["labels"]
    return values


@pytest.mark.parametrize(("norm", "kind"), [("post", BertForMaskedLM), ("pre", RobertaPreLayerNormForMaskedLM)])
def test_logits_hidden_states_and_loss_are_equal(norm: str, kind: type[nn.Module], tmp_path: Path) -> None:
    model = ours(norm=norm)
    assert write_plain(model, tmp_path, IDS) == kind.__name__
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert type(theirs) is kind
    values = inputs(padding=IDS.pad)
    real = values["attention_mask"].bool()
    mine, found = model(**values), theirs(**values)
    assert_close(found.logits[real], mine.logits[real], rtol=1e-5, atol=1e-5)
    assert_close(found.loss, mine.loss, rtol=1e-5, atol=1e-5)
    hidden = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()(**batch()).last_hidden_state
    assert_close(hidden[real], model.bert(**batch()).last_hidden_state[real], rtol=1e-5, atol=1e-5)
    assert logits_difference(model, tmp_path, IDS.pad) < 1e-5


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_vocabulary_is_cut_and_the_table_of_positions_reaches_as_far(norm: str, tmp_path: Path) -> None:
    model = ours(norm=norm)
    write_plain(model, tmp_path, IDS)
    theirs, report = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert theirs.get_input_embeddings().weight.shape == (101, 32)
    assert theirs.get_output_embeddings().weight is theirs.get_input_embeddings().weight
    whole = torch.full((1, 24), 7)
    assert_close(theirs.eval()(whole).logits, model(whole).logits, rtol=1e-5, atol=1e-5)
    assert theirs.config.pad_token_id == IDS.pad


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_scales_of_sublayers_are_folded_into_the_weights(norm: str, tmp_path: Path) -> None:
    model = ours(norm=norm)
    unscaled = model(**batch()).logits
    model.config.full_depth = Gates((True,) * 3, (1.0, 0.75, 0.4), "sublayer")
    scaled = model(**batch()).logits
    assert (scaled - unscaled).abs().max() > 0.1
    write_plain(model, tmp_path, IDS)
    real = batch()["attention_mask"].bool()
    assert_close(
        AutoModelForMaskedLM.from_pretrained(tmp_path).eval()(**batch()).logits[real],
        scaled[real],
        rtol=1e-5,
        atol=1e-5,
    )
    assert model.config.residual_scale == [1.0, 0.75, 0.4]


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_scale_of_whole_blocks_is_refused_unless_it_is_one(norm: str, tmp_path: Path) -> None:
    model = ours(norm=norm)
    model.config.full_depth = Gates((True,) * 3, (1.0, 1.0, 0.5), "block")
    with pytest.raises(ConfigError, match=r"schedule\.rescale: .*unit: sublayer"):
        write_plain(model, tmp_path, IDS)
    assert not list(tmp_path.iterdir())
    model.config.full_depth = Gates((True,) * 3, (1.0, 1.0, 1.0), "block")
    write_plain(model, tmp_path, IDS)
    assert logits_difference(model, tmp_path, IDS.pad) < 1e-5


def test_alibi_is_refused_with_every_other_reason(tmp_path: Path) -> None:
    model = ours(positions="alibi")
    model.config.full_depth = Gates((True,) * 3, (1.0, 1.0, 0.5), "block")
    with pytest.raises(ConfigError) as refused:
        write_plain(model, tmp_path, IDS)
    assert [problem.path[0] for problem in refused.value.problems] == ["model", "schedule"]
    assert "learned" in str(refused.value)


@pytest.mark.parametrize(
    "kind", [BertForMaskedLM, BertForPreTraining, BertModel, RobertaPreLayerNormForMaskedLM, RobertaPreLayerNormModel]
)
def test_a_checkpoint_goes_back_to_its_class(kind: Any, tmp_path: Path) -> None:
    start = kind(copy.deepcopy(PRE if "PreLayerNorm" in kind.__name__ else POST))
    randomise(start)
    start.save_pretrained(tmp_path / "start")
    model = load_bert(tmp_path / "start").eval()
    carried = Carried(*carried_heads(tmp_path / "start"))
    write_plain(model, tmp_path / "back", SpecialIds(pad=start.config.pad_token_id, cls=2, sep=3), carried)
    back, report = kind.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not report["missing_keys"]
    compared = 0
    for name, tensor in start.state_dict().items():
        rows = (
            tensor[PRE.pad_token_id + 1 :]
            if kind.__name__.startswith("Roberta") and "position_embeddings" in name
            else tensor
        )
        assert torch.equal(back.state_dict()[name][-len(rows) :] if tensor.ndim else tensor, rows), name
        compared += 1
    assert compared > 40
    if kind in (BertForMaskedLM, BertForPreTraining, RobertaPreLayerNormForMaskedLM):
        assert checkpoint_digest(tmp_path / "back") == checkpoint_digest(tmp_path / "start")


def test_a_wrong_export_is_noticed(tmp_path: Path) -> None:
    model = ours(norm="post")
    write_plain(model, tmp_path, IDS)
    with torch.no_grad():
        model.head.bias[5] += 0.01
    with pytest.raises(CheckpointError, match=r"differ by 0\.01"):
        logits_difference(model, tmp_path, IDS.pad)


def test_the_tensors_are_plain_float32(tmp_path: Path) -> None:
    write_plain(ours(norm="pre").to(torch.bfloat16), tmp_path, IDS)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}
    assert export_model.TOLERANCE == 1e-5
