"""Configurations of transformers' ModernBERT and NomicBert as ours, and the way back.

What our encoder does not compute exactly is refused. Dropouts are read and written by their meaning: ModernBERT drops
inside its feed-forwards, where ours drop what leaves them; without dropout both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import ModernBertConfig, NomicBertConfig

from pld_search.errors import ConfigError, KeyPath, Problem
from pld_search.model.transformers_config import SAME_FIELDS, PldBertConfig

MODERN, NOMIC = "modernbert", "nomic_bert"
_GATES = {"gelu": "geglu", "silu": "swiglu"}
_ACTIVATIONS = {gate: activation for activation, gate in _GATES.items()}
_FULL, _LOCAL = "full_attention", "sliding_attention"


def from_modern(written: Mapping[str, Any], path: KeyPath) -> PldBertConfig:
    """A written ModernBertConfig as ours. Raises ConfigError with everything that our encoder does not compute."""
    theirs = ModernBertConfig.from_dict(dict(written))
    every = _global_every(list(theirs.layer_types or []))
    rotations = theirs.rope_parameters or {}
    used = {kind: dict(rotations[kind]) for kind in (_FULL, _LOCAL) if kind in (theirs.layer_types or [])}
    checks = (
        ("hidden_activation", theirs.hidden_activation in _GATES, "gelu | silu", theirs.hidden_activation),
        ("classifier_activation", theirs.classifier_activation == "gelu", "gelu", theirs.classifier_activation),
        ("mlp_bias", theirs.mlp_bias == theirs.attention_bias, "as attention_bias", theirs.mlp_bias),
        ("classifier_bias", theirs.classifier_bias == theirs.norm_bias, "as norm_bias", theirs.classifier_bias),
        ("norm_bias", theirs.norm_bias or not theirs.mlp_bias, "true where mlp_bias is", theirs.norm_bias),
        ("decoder_bias", theirs.decoder_bias, "true", theirs.decoder_bias),
        ("layer_types", every is not None, "global layers 1, 1 + n, 1 + 2 n, ...", theirs.layer_types),
        ("rope_parameters", all(each["rope_type"] == "default" for each in used.values()), "default", rotations),
    )
    _refuse(checks, path)
    local = _LOCAL in used
    return PldBertConfig(
        **_shared(theirs),
        norm="pre",
        positions="rope",
        type_vocab_size=0,
        first_norm=False,
        layer_norm_eps=theirs.norm_eps,
        hidden_dropout_prob=theirs.embedding_dropout,
        attention_probs_dropout_prob=theirs.attention_dropout,
        feed_forward=_GATES[theirs.hidden_activation],
        map_bias=theirs.mlp_bias,
        norm_bias=theirs.norm_bias,
        tie_word_embeddings=theirs.tie_word_embeddings,
        rope_base=float(rotations[_FULL]["rope_theta"]),
        local_attention=theirs.local_attention if local else None,
        global_every=every if local else 1,
        local_rope_base=float(rotations[_LOCAL]["rope_theta"]) if local else None,
    )


def from_nomic(written: Mapping[str, Any], path: KeyPath) -> PldBertConfig:
    """A written NomicBertConfig as ours. Raises ConfigError with everything that our encoder does not compute."""
    theirs = NomicBertConfig.from_dict(dict(written))
    rope = dict(theirs.rope_parameters or {})
    heads_fit = theirs.head_dim in (None, theirs.hidden_size // theirs.num_attention_heads)
    checks = (
        ("hidden_act", theirs.hidden_act in _GATES, "gelu | silu", theirs.hidden_act),
        ("head_dim", heads_fit, "hidden_size / num_attention_heads", theirs.head_dim),
        ("tie_word_embeddings", theirs.tie_word_embeddings, "true", theirs.tie_word_embeddings),
        ("rope_parameters", rope.get("rope_type") == "default", "default", rope),
    )
    _refuse(checks, path)
    return PldBertConfig(
        **_shared(theirs),
        **{name: getattr(theirs, name) for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")},
        norm="post",
        positions="rope",
        type_vocab_size=theirs.type_vocab_size,
        layer_norm_eps=theirs.layer_norm_eps,
        feed_forward=_GATES[theirs.hidden_act],
        head_activation=theirs.hidden_act,
        map_bias=False,
        rope_base=float(rope["rope_theta"]),
    )


def to_modern(config: PldBertConfig, pad: int, cls: int, sep: int) -> ModernBertConfig:
    """ModernBERT's configuration of a network that `inexpressible` has no objection to."""
    kinds = [_LOCAL if config.is_local(place) else _FULL for place in config.places]
    bases = {_FULL: config.rope_base, _LOCAL: config.local_rope_base or config.rope_base}
    return ModernBertConfig(
        **{name: getattr(config, name) for name in _SHARED},
        norm_eps=config.layer_norm_eps,
        embedding_dropout=config.hidden_dropout_prob,
        mlp_dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        hidden_activation=_ACTIVATIONS[config.feed_forward],
        mlp_bias=config.map_bias,
        attention_bias=config.map_bias,
        norm_bias=config.norm_bias,
        classifier_bias=config.norm_bias,
        tie_word_embeddings=config.tie_word_embeddings,
        layer_types=kinds,
        local_attention=config.local_attention or 128,
        rope_parameters={kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()},
        pad_token_id=pad,
        bos_token_id=cls,
        cls_token_id=cls,
        eos_token_id=sep,
        sep_token_id=sep,
        dtype="float32",
    )


def to_nomic(config: PldBertConfig, pad: int) -> NomicBertConfig:
    """NomicBert's configuration of a network that `inexpressible` has no objection to."""
    return NomicBertConfig(
        **{name: getattr(config, name) for name in SAME_FIELDS},
        max_position_embeddings=config.max_position_embeddings,
        hidden_act=_ACTIVATIONS[config.feed_forward],
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
        pad_token_id=pad,
        dtype="float32",
    )


_SHARED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "initializer_range",
)


def _shared(theirs: ModernBertConfig | NomicBertConfig) -> dict[str, Any]:
    return {
        **{name: getattr(theirs, name) for name in _SHARED},
        "embedding_range": theirs.initializer_range,
        "pad_token_id": theirs.pad_token_id,
    }


def _global_every(kinds: list[str]) -> int | None:
    """n where layers 1, 1 + n, ... see all positions and no others do; None where the layers stand otherwise."""
    if set(kinds) <= {_FULL}:
        return 1
    every = kinds.index(_FULL, 1) if _FULL in kinds[1:] else len(kinds)
    return every if kinds == [_LOCAL if place % every else _FULL for place in range(len(kinds))] else None


def _refuse(checks: tuple[tuple[str, bool, str, Any], ...], path: KeyPath) -> None:
    problems = [
        Problem(f"{name} of the checkpoint's config.json", path=path, allowed=allowed, given=repr(given))
        for name, holds, allowed, given in checks
        if not holds
    ]
    if problems:
        raise ConfigError(problems)
