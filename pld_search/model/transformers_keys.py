"""Converts state-dict keys of transformers' BERT, RobertaPreLayerNorm and Electra to ours and back, for weights and
gradients.

Besides names, three things differ. Our query, key and value are one matrix. Our token embedding matrix has padded rows.
RobertaPreLayerNorm counts positions from `pad_token_id + 1`, so it never reads the rows of its position table below
that; they are cut here, and zero on the way back. The decoder is tied in all of them and has no entry of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pld_search.errors import CheckpointError
from pld_search.model.transformers_config import PldBertConfig

State = Mapping[str, Tensor]

_WORDS = "bert.embeddings.words.weight"
_POSITIONS = "bert.embeddings.positions.weight"

# (ours, theirs) up to `.weight` / `.bias`; `{i}` is the index of the layer.
_SHARED = (
    ("bert.embeddings.words", "embeddings.word_embeddings"),
    ("bert.embeddings.positions", "embeddings.position_embeddings"),
    ("bert.embeddings.types", "embeddings.token_type_embeddings"),
    ("bert.embeddings.norm", "embeddings.LayerNorm"),
    ("bert.encoder.blocks.{i}.attention.qkv", "encoder.layer.{i}.attention.self.qkv"),
    ("bert.encoder.blocks.{i}.attention.out", "encoder.layer.{i}.attention.output.dense"),
    ("bert.encoder.blocks.{i}.feed_forward.up", "encoder.layer.{i}.intermediate.dense"),
    ("bert.encoder.blocks.{i}.feed_forward.down", "encoder.layer.{i}.output.dense"),
)
_POST = (
    ("bert.encoder.blocks.{i}.attention_norm", "encoder.layer.{i}.attention.output.LayerNorm"),
    ("bert.encoder.blocks.{i}.feed_forward_norm", "encoder.layer.{i}.output.LayerNorm"),
)
_PRE = (
    ("bert.encoder.blocks.{i}.attention_norm", "encoder.layer.{i}.attention.LayerNorm"),
    ("bert.encoder.blocks.{i}.feed_forward_norm", "encoder.layer.{i}.intermediate.LayerNorm"),
    ("bert.encoder.norm", "LayerNorm"),
)
_POST_HEADS = (
    ("head.dense", "cls.predictions.transform.dense"),
    ("head.norm", "cls.predictions.transform.LayerNorm"),
    ("head", "cls.predictions"),
    ("pooler.dense", "bert.pooler.dense"),
    ("next_sentence", "cls.seq_relationship"),
    ("classifier", "classifier"),
)
_PRE_HEADS = (
    ("head.dense", "lm_head.dense"),
    ("head.norm", "lm_head.layer_norm"),
    ("head", "lm_head"),
    ("pooler.dense", "classifier.dense"),
    ("classifier", "classifier.out_proj"),
)
_BASE = {"post": "bert.", "pre": "roberta_prelayernorm."}
_PARTS = ("query", "key", "value")
# Their entries without a counterpart: counters of old versions, the head of next-sentence prediction, a pooler that no
# RoBERTa head uses.
_DROPPED = re.compile(r"\.(position_ids|token_type_ids)$|^cls\.seq_relationship\.|^roberta_prelayernorm\.pooler\.")
# Entries that this project neither trains nor reads, and that an export copies unchanged: the pooler and the head of
# next-sentence prediction.
_CARRIED = re.compile(r"^(bert|roberta_prelayernorm)\.pooler\.|^cls\.seq_relationship\.")
DECODER = re.compile(r"^(cls\.predictions|lm_head)\.decoder\.(weight|bias)$")


_ENCODER = re.compile(r"^(electra\.)?(embeddings|encoder)\.")
_ELECTRA_HEADS = re.compile(r"^(discriminator_predictions|generator_predictions|generator_lm_head)\.")
_DETECTOR = {
    f"detector.{ours}.{kind}": f"discriminator_predictions.{theirs}.{kind}"
    for ours, theirs in (("dense", "dense"), ("out", "dense_prediction"))
    for kind in ("weight", "bias")
}


def position_offset(norm: str, pad_token_id: int | None) -> int:
    """Returns the number of rows in their position table before the row of a sequence's first token."""
    return 0 if norm == "post" else (pad_token_id or 0) + 1


def from_transformers(theirs: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns their weights (or gradients) under our names; entries that they lack are absent. Raises CheckpointError
    for entries without a place in ours.
    """
    state = _fused(_plain(theirs, config.norm))
    names = _names(config)
    unknown = sorted(set(state) - set(names))
    if unknown:
        raise CheckpointError(f"no place for {len(unknown)} tensors of the checkpoint, the first of them {unknown[0]}")
    ours = {names[name]: tensor for name, tensor in state.items()}
    if _WORDS in ours:
        ours[_WORDS] = _with_rows(ours[_WORDS], config.padded_vocab_size)
    if _POSITIONS in ours:
        ours[_POSITIONS] = ours[_POSITIONS][position_offset(config.norm, config.pad_token_id) :]
    return ours


def to_transformers(ours: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns our weights (or gradients) under their names, without the tied decoder. Raises CheckpointError for ALiBi
    and scaled residuals, which have no counterpart there.
    """
    if config.positions == "alibi":
        raise CheckpointError(
            "transformers' BERT has no ALiBi: a model with `positions: alibi` cannot be written in its form"
        )
    if config.full_depth is not None:
        raise CheckpointError(
            "transformers' BERT scales no residual: weights trained with `rescale: evaluation` cannot be "
            "written in its form"
        )
    names = {mine: theirs for theirs, mine in _names(config).items()}
    state: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        if name == _WORDS:
            tensor = tensor[: config.vocab_size]
        if name == _POSITIONS:
            offset = position_offset(config.norm, config.pad_token_id)
            tensor = torch.cat([tensor.new_zeros(offset, tensor.shape[1]), tensor])
        if ".self.qkv." in names[name]:
            for part, third in zip(_PARTS, tensor.chunk(3), strict=True):
                state[names[name].replace("qkv", part)] = third
        else:
            state[names[name]] = tensor
    return state


def from_electra(theirs: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns the discriminator of transformers' Electra under our names, without the heads of a generator."""
    encoder = {
        "bert." + name.removeprefix("electra."): tensor for name, tensor in theirs.items() if _ENCODER.match(name)
    }
    unknown = sorted(name for name in theirs if not _ENCODER.match(name) and not _ELECTRA_HEADS.match(name))
    if unknown:
        raise CheckpointError(f"no place for {len(unknown)} tensors of the checkpoint, the first of them {unknown[0]}")
    detector = {ours: theirs[name] for ours, name in _DETECTOR.items() if name in theirs}
    return {**from_transformers(encoder, config), **detector}


def to_electra(ours: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns our discriminator under the names of transformers' ElectraForPreTraining."""
    encoder = to_transformers({name: tensor for name, tensor in ours.items() if name.startswith("bert.")}, config)
    renamed = {"electra." + name.removeprefix("bert."): tensor for name, tensor in encoder.items()}
    return {**renamed, **{name: ours[mine] for mine, name in _DETECTOR.items()}}


def _names(config: PldBertConfig) -> dict[str, str]:
    """Returns their parameter names (query, key and value fused, base prefix included) -> ours."""
    base = _BASE[config.norm]
    inner = _SHARED + (_PRE if config.norm == "pre" else _POST)
    heads = _PRE_HEADS if config.norm == "pre" else _POST_HEADS
    pairs = [(mine, base + theirs) for mine, theirs in inner] + list(heads)
    return {
        f"{theirs}.{kind}".format(i=i): f"{mine}.{kind}".format(i=i)
        for mine, theirs in pairs
        for i in (range(config.num_hidden_layers) if "{i}" in mine else (0,))
        for kind in ("weight", "bias")
    }


def carried(theirs: State, norm: str) -> dict[str, Tensor]:
    """Returns the weights of a checkpoint that pre-training here does not change, under their names: pooler and
    next-sentence head.
    """
    return {name: tensor for name, tensor in _with_current_names(theirs, norm).items() if _CARRIED.match(name)}


def _plain(theirs: State, norm: str) -> dict[str, Tensor]:
    """Removes decoder and counters."""
    return {
        name: tensor
        for name, tensor in _with_current_names(theirs, norm).items()
        if not (_DROPPED.search(name) or DECODER.match(name))
    }


def _with_current_names(theirs: State, norm: str) -> dict[str, Tensor]:
    """Adds the base prefix that a bare encoder lacks, and uses today's names of LayerNorm."""
    base = _BASE[norm] if any(name.startswith("embeddings.") for name in theirs) else ""
    return {
        base + name.replace(".gamma", ".weight").replace(".beta", ".bias"): tensor for name, tensor in theirs.items()
    }


def _fused(state: dict[str, Tensor]) -> dict[str, Tensor]:
    fused = {name: tensor for name, tensor in state.items() if not re.search(r"\.self\.(query|key|value)\.", name)}
    for name in [name for name in state if ".self.query." in name]:
        parts = [state.get(name.replace("query", part)) for part in _PARTS]
        if any(part is None for part in parts):
            raise CheckpointError(f"the checkpoint has {name}, but not its key and value")
        fused[name.replace("query", "qkv")] = torch.cat([part for part in parts if part is not None])
    return fused


def _with_rows(matrix: Tensor, rows: int) -> Tensor:
    return (
        torch.cat([matrix, matrix.new_zeros(rows - matrix.shape[0], matrix.shape[1])])
        if rows > matrix.shape[0]
        else matrix
    )
