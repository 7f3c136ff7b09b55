"""`model: {from: ...}`: BERT and RobertaPreLayerNorm folders, our own, their digests, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch.testing import assert_close
from transformers import BertForMaskedLM, BertForPreTraining, BertModel, RobertaPreLayerNormForMaskedLM

from pld_search.errors import CheckpointError, ConfigError
from pld_search.model.build_model import classifier, load_bert, masked_lm
from pld_search.model.pretrained import checkpoint_digest, checkpoint_spec, find
from tests.model.helpers import inputs, randomise, spec
from tests.model.test_parity import POST, PRE


def saved(kind: Any, folder: Path, seed: int = 7) -> Any:
    model = kind(copy.deepcopy(PRE if kind is RobertaPreLayerNormForMaskedLM else POST))
    randomise(model, seed)
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining, RobertaPreLayerNormForMaskedLM])
def test_a_saved_model_computes_the_same_here(kind: Any, tmp_path: Path) -> None:
    theirs = saved(kind, tmp_path)
    model = load_bert(tmp_path).eval()
    batch = inputs(padding=1 if kind is RobertaPreLayerNormForMaskedLM else 0)
    del batch["labels"]
    out = theirs(**batch)
    real = batch["attention_mask"].bool()
    expected = out.prediction_logits if kind is BertForPreTraining else out.logits
    assert_close(model(**batch).logits[real], expected[real], rtol=1e-5, atol=1e-5)


def test_a_bare_encoder_gets_an_initial_head(tmp_path: Path) -> None:
    theirs = saved(BertModel, tmp_path)
    model = load_bert(tmp_path, seed=4).eval()
    batch = inputs()
    del batch["labels"]
    assert_close(model.bert(**batch).last_hidden_state, theirs(**batch).last_hidden_state, rtol=1e-5, atol=1e-5)
    other = load_bert(tmp_path, seed=5)
    assert not torch.equal(model.head.dense.weight, other.head.dense.weight)
    assert torch.equal(model.bert.embeddings.words.weight, other.bert.embeddings.words.weight)


def test_architecture_and_digest_as_a_spec(tmp_path: Path) -> None:
    saved(RobertaPreLayerNormForMaskedLM, tmp_path)
    found = checkpoint_spec(tmp_path)
    expected = spec(norm="pre", checkpoint=checkpoint_digest(tmp_path))
    assert found == expected
    assert masked_lm(found, checkpoint=tmp_path).config.layer_norm_eps == 1e-6


def test_our_own_checkpoint_continues(tmp_path: Path) -> None:
    model = masked_lm(spec(positions="alibi"))
    randomise(model)
    model.eval().save_pretrained(tmp_path)
    assert torch.equal(load_bert(tmp_path).eval()(**inputs()).logits, model(**inputs()).logits)
    assert checkpoint_spec(tmp_path).positions == "alibi"


def test_digest_is_of_the_weights_not_of_the_files(tmp_path: Path) -> None:
    model = saved(BertForMaskedLM, tmp_path / "one")
    digest = checkpoint_digest(tmp_path / "one")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 1
    old = tmp_path / "old"
    old.mkdir()
    (old / "config.json").write_text((tmp_path / "one" / "config.json").read_text())
    torch.save(
        {name.replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for name, tensor in model.state_dict().items()},
        old / "pytorch_model.bin",
    )
    assert checkpoint_digest(tmp_path / "sharded") == checkpoint_digest(old) == digest
    with torch.no_grad():
        model.bert.encoder.layer[2].output.dense.bias[3] += 1e-3
    model.save_pretrained(tmp_path / "other")
    assert checkpoint_digest(tmp_path / "other") != digest


def test_digest_includes_what_weights_do_not_show(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    digest = checkpoint_digest(tmp_path)
    edit(tmp_path, num_attention_heads=2)
    assert checkpoint_digest(tmp_path) != digest


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "gpt2"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"tie_word_embeddings": False},
    ],
)
def test_what_cannot_be_reproduced_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ConfigError, match=f"model.from: {next(iter(changes))} .*allowed"):
        load_bert(tmp_path)


def test_a_configuration_without_meaning_is_refused(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    edit(tmp_path, hidden_dropout_prob=1.5)
    with pytest.raises(ConfigError, match="dropout"):
        checkpoint_spec(tmp_path)


def test_an_untied_decoder_is_refused(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file(
        {**state, "cls.predictions.decoder.weight": state["bert.embeddings.word_embeddings.weight"] + 1},
        tmp_path / "model.safetensors",
    )
    with pytest.raises(CheckpointError, match="tied"):
        load_bert(tmp_path)


def test_missing_and_foreign_tensors_are_refused(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    some = {name: tensor for name, tensor in state.items() if "layer.1.output.dense" not in name}
    save_file(some, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.feed_forward\.down"):
        load_bert(tmp_path)
    save_file({**state, "bert.encoder.layer.0.crossattention.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="crossattention"):
        load_bert(tmp_path)


def test_unreadable_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        load_bert(tmp_path)
    saved(BertForMaskedLM, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(CheckpointError, match="cannot read"):
        load_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="neither"):
        load_bert(tmp_path)


def test_a_place_that_is_not_there() -> None:
    for source in ("./nowhere", "/nowhere/at/all", "bert"):
        with pytest.raises(ConfigError, match="no such folder"):
            find(source)


def test_a_hub_id_is_downloaded_with_its_revision_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def download(source: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((source, revision, "model.safetensors" in allow_patterns))
        if source == "org/gone":
            raise LocalEntryNotFoundError("not in the cache")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find("org/name", "v1") == tmp_path and asked == [("org/name", "v1", True)]
    with pytest.raises(ConfigError, match=r"cannot be reached.*org/gone"):
        find("org/gone")


def test_a_spec_of_another_shape_is_refused(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    found = checkpoint_spec(tmp_path)
    for changes in ({"layers": 2}, {"layers": 4}, {"intermediate": 96}, {"norm": "pre"}):
        with pytest.raises(CheckpointError):
            masked_lm(found.model_copy(update=changes), checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="no folder"):
        masked_lm(found)
    with pytest.raises(CheckpointError, match="names none"):
        masked_lm(spec(), checkpoint=tmp_path)


def test_a_classifier_starts_from_the_encoder(tmp_path: Path) -> None:
    saved(BertForMaskedLM, tmp_path)
    start = load_bert(tmp_path)
    model = classifier(checkpoint_spec(tmp_path), 3, "classification", start=start)
    assert model.config.layer_norm_eps == 1e-6 and model.config.num_labels == 3
    for name, tensor in start.bert.state_dict().items():
        assert torch.equal(model.bert.state_dict()[name], tensor), name
    with torch.no_grad():
        start.bert.embeddings.words.weight.zero_()
    assert model.bert.embeddings.words.weight.any()
    with pytest.raises(ConfigError, match="regression"):
        classifier(spec(), 2, "regression")
