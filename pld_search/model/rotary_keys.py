"""Converts state-dict keys of transformers' encoders with rotary positions, ModernBERT (pre-norm) and NomicBert
(post-norm), to ours and back, for weights and gradients.

Besides names, three things differ: they pair the values of a head by halves (rope.py); our token embedding matrix has
padded rows; and NomicBert has separate matrices for query, key and value, and for a feed-forward and its gate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pld_search.errors import CheckpointError
from pld_search.model.rope import halved, paired
from pld_search.model.transformers_config import PldBertConfig

State = Mapping[str, Tensor]


class _Family(NamedTuple):
    """Names up to `.weight` / `.bias`: ours -> theirs, whose rows are concatenated in this order; `{i}` is the
    layer.
    """

    base: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    decoder: str
    bias: str
    left_out: str = r"^$"


_BLOCK = "bert.encoder.blocks.{i}."
_MODERN = _Family(
    base="model.",
    parts=(
        ("bert.embeddings.words", ("embeddings.tok_embeddings",)),
        ("bert.embeddings.norm", ("embeddings.norm",)),
        (_BLOCK + "attention_norm", ("layers.{i}.attn_norm",)),
        (_BLOCK + "attention.qkv", ("layers.{i}.attn.Wqkv",)),
        (_BLOCK + "attention.out", ("layers.{i}.attn.Wo",)),
        (_BLOCK + "feed_forward_norm", ("layers.{i}.mlp_norm",)),
        (_BLOCK + "feed_forward.up", ("layers.{i}.mlp.Wi",)),
        (_BLOCK + "feed_forward.down", ("layers.{i}.mlp.Wo",)),
        ("bert.encoder.norm", ("final_norm",)),
        ("head.dense", ("/head.dense",)),
        ("head.norm", ("/head.norm",)),
    ),
    decoder="decoder.weight",
    bias="decoder.bias",
)
_NOMIC = _Family(
    base="nomic_bert.",
    parts=(
        ("bert.embeddings.words", ("embeddings.word_embeddings",)),
        ("bert.embeddings.types", ("embeddings.token_type_embeddings",)),
        ("bert.embeddings.norm", ("embeddings.LayerNorm",)),
        (_BLOCK + "attention_norm", ("layers.{i}.post_attention_layernorm",)),
        (_BLOCK + "attention.qkv", tuple("layers.{i}.self_attn." + part + "_proj" for part in "qkv")),
        (_BLOCK + "attention.out", ("layers.{i}.self_attn.o_proj",)),
        (_BLOCK + "feed_forward_norm", ("layers.{i}.post_mlp_layernorm",)),
        (_BLOCK + "feed_forward.up", ("layers.{i}.mlp.gate_proj", "layers.{i}.mlp.up_proj")),
        (_BLOCK + "feed_forward.down", ("layers.{i}.mlp.down_proj",)),
        ("head.dense", ("/cls.predictions.transform.dense",)),
        ("head.norm", ("/cls.predictions.transform.layer_norm",)),
    ),
    decoder="cls.predictions.decoder.weight",
    bias="cls.predictions.bias",
    left_out=r"^cls\.predictions\.decoder\.bias$|\.pooler\.",
)


# NomicBert's names in files, which transformers changes on loading
_IN_FILES = (
    ("encoder.layers", "layers"),
    ("emb_ln", "embeddings.LayerNorm"),
    ("attn.out_proj", "self_attn.o_proj"),
    ("fc11", "up_proj"),
    ("fc12", "gate_proj"),
    ("fc2", "down_proj"),
    ("norm1", "post_attention_layernorm"),
    ("norm2", "post_mlp_layernorm"),
)


def from_rotary(theirs: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns their weights (or gradients) under our names; entries that they lack are absent. Raises CheckpointError
    for entries without a place in ours, and for a tied decoder that differs from the embeddings.
    """
    family, state = _family(config), _renamed(theirs) if config.norm == "post" else dict(theirs)
    if any(name.startswith("embeddings.") for name in state):  # a bare encoder
        state = {family.base + name: tensor for name, tensor in state.items()}
    ours: dict[str, Tensor] = {}
    for mine, names in _names(config).items():
        found = [state.pop(name) for name in names if name in state]
        if len(found) == len(names):
            ours[mine] = _inward(mine, torch.cat(found) if len(found) > 1 else found[0], config)
    decoder = state.pop(family.decoder, None)
    if family.bias in state:
        ours["head.bias"] = state.pop(family.bias)
    if decoder is not None and not config.tie_word_embeddings:
        ours["head.decoder.weight"] = _with_rows(decoder, config)
    elif decoder is not None and not torch.equal(_with_rows(decoder, config), ours["bert.embeddings.words.weight"]):
        raise CheckpointError(f"{family.decoder} differs from the token embeddings it is tied to")
    unknown = sorted(name for name in state if not re.search(family.left_out, name))
    if unknown:
        raise CheckpointError(f"no place for {len(unknown)} tensors of the checkpoint, the first of them {unknown[0]}")
    return ours


def to_rotary(ours: State, config: PldBertConfig) -> dict[str, Tensor]:
    """Returns our weights (or gradients) under their names, with a decoder only if it is not tied."""
    family, names = _family(config), _names(config)
    state: dict[str, Tensor] = {}
    for mine, tensor in ours.items():
        if mine == "head.bias":
            state[family.bias] = tensor
        elif mine == "head.decoder.weight":
            state[family.decoder] = tensor[: config.vocab_size]
        else:
            outward = _outward(mine, tensor, config)
            state.update(zip(names[mine], outward.chunk(len(names[mine])), strict=True))
    return state


def _family(config: PldBertConfig) -> _Family:
    return _NOMIC if config.norm == "post" else _MODERN


def _renamed(theirs: State) -> dict[str, Tensor]:
    """Returns NomicBert's weights under the names of its modules, from the names in files or of modules."""
    state: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        for old, new in _IN_FILES:
            name = name.replace(old, new)
        if ".attn.Wqkv." in name:
            parts = (name.replace("attn.Wqkv", f"self_attn.{part}_proj") for part in "qkv")
            state.update(zip(parts, tensor.chunk(3), strict=True))
        else:
            state[name] = tensor
    return state


def _names(config: PldBertConfig) -> dict[str, tuple[str, ...]]:
    """Returns our parameter names -> theirs, base prefix included."""
    family = _family(config)
    return {
        f"{mine}.{kind}".format(i=i): tuple(
            f"{name[1:] if name[0] == '/' else family.base + name}.{kind}".format(i=i) for name in theirs
        )
        for mine, theirs in family.parts
        for i in (range(config.num_hidden_layers) if "{i}" in mine else (0,))
        for kind in ("weight", "bias")
    }


def _inward(name: str, tensor: Tensor, config: PldBertConfig) -> Tensor:
    if name == "bert.embeddings.words.weight":
        return _with_rows(tensor, config)
    if ".attention.qkv." not in name:
        return tensor
    query, key, value = tensor.chunk(3)
    return torch.cat([paired(query, config.num_attention_heads), paired(key, config.num_attention_heads), value])


def _outward(name: str, tensor: Tensor, config: PldBertConfig) -> Tensor:
    if name == "bert.embeddings.words.weight":
        return tensor[: config.vocab_size]
    if ".attention.qkv." not in name:
        return tensor
    query, key, value = tensor.chunk(3)
    return torch.cat([halved(query, config.num_attention_heads), halved(key, config.num_attention_heads), value])


def _with_rows(matrix: Tensor, config: PldBertConfig) -> Tensor:
    """Returns the matrix with the padded rows that ours has."""
    return torch.cat([matrix, matrix.new_zeros(config.padded_vocab_size - matrix.shape[0], matrix.shape[1])])
