"""Converts written configurations of transformers' ModernBERT and NomicBert to ours; rotary_exports.py converts back.

A configuration that our encoder does not compute exactly is refused. Dropouts are converted by their meaning.
ModernBERT drops values inside its feed-forwards, ours drop their outputs; without dropout both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pld_search.errors import ConfigError, KeyPath, Problem
from pld_search.model.transformers_config import PldBertConfig

MODERN, NOMIC = "modernbert", "nomic_bert"
_GATES = {"gelu": "geglu", "silu": "swiglu"}
_FULL, _LOCAL = "full_attention", "sliding_attention"

SHARED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "initializer_range",
)
# the values of absent fields, by transformers' classes and by the files of earlier versions
_MODERN: dict[str, Any] = {
    "vocab_size": 50368,
    "hidden_size": 768,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "intermediate_size": 1152,
    "max_position_embeddings": 8192,
    "initializer_range": 0.02,
    "norm_eps": 1e-5,
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "pad_token_id": 50283,
    "local_attention": 128,
    **dict.fromkeys(("mlp_bias", "attention_bias", "norm_bias", "classifier_bias"), False),
    **dict.fromkeys(("decoder_bias", "tie_word_embeddings"), True),
    **dict.fromkeys(("embedding_dropout", "attention_dropout"), 0.0),
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160_000.0,
    "local_rope_theta": 10_000.0,
    **dict.fromkeys(("layer_types", "rope_parameters", "rope_scaling")),
}
_NOMIC: dict[str, Any] = {
    "vocab_size": 30528,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 2048,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "hidden_act": "silu",
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "tie_word_embeddings": True,
    "rope_theta": 1000.0,
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0),
    **dict.fromkeys(("head_dim", "rope_parameters")),
}


def from_modern(written: Mapping[str, Any], path: KeyPath) -> PldBertConfig:
    """Converts a written ModernBertConfig to ours. Raises ConfigError with everything that our encoder cannot
    compute.
    """
    theirs = {**_MODERN, **{name: value for name, value in written.items() if name in _MODERN and value is not None}}
    kinds = theirs["layer_types"] or _by_every(theirs["num_hidden_layers"], theirs["global_attn_every_n_layers"])
    every, local = _global_every(kinds), _LOCAL in kinds
    bases = {_FULL: theirs["global_rope_theta"], _LOCAL: theirs["local_rope_theta"]}
    ropes = {kind: {"rope_theta": bases[kind], **((theirs["rope_parameters"] or {}).get(kind) or {})} for kind in bases}
    plain = all(ropes[kind].get("rope_type", "default") == "default" for kind in set(kinds))
    checks = (
        ("hidden_activation", theirs["hidden_activation"] in _GATES, "gelu | silu"),
        ("classifier_activation", theirs["classifier_activation"] == "gelu", "gelu"),
        ("mlp_bias", theirs["mlp_bias"] == theirs["attention_bias"], "as attention_bias"),
        ("classifier_bias", theirs["classifier_bias"] == theirs["norm_bias"], "as norm_bias"),
        ("norm_bias", theirs["norm_bias"] or not theirs["mlp_bias"], "true where mlp_bias is"),
        ("decoder_bias", theirs["decoder_bias"], "true"),
        ("layer_types", every is not None, "global layers 1, 1 + n, 1 + 2 n, ..."),
        ("rope_parameters", plain and theirs["rope_scaling"] is None, "default rotations"),
    )
    _refuse(checks, theirs, path)
    return PldBertConfig(
        **_shared(theirs),
        norm="pre",
        positions="rope",
        type_vocab_size=0,
        first_norm=False,
        layer_norm_eps=theirs["norm_eps"],
        hidden_dropout_prob=theirs["embedding_dropout"],
        attention_probs_dropout_prob=theirs["attention_dropout"],
        feed_forward=_GATES[theirs["hidden_activation"]],
        map_bias=theirs["mlp_bias"],
        norm_bias=theirs["norm_bias"],
        tie_word_embeddings=theirs["tie_word_embeddings"],
        rope_base=float(ropes[_FULL]["rope_theta"]),
        local_attention=theirs["local_attention"] if local else None,
        global_every=every or 1 if local else 1,
        local_rope_base=float(ropes[_LOCAL]["rope_theta"]) if local else None,
    )


def from_nomic(written: Mapping[str, Any], path: KeyPath) -> PldBertConfig:
    """Converts a written NomicBertConfig to ours. Raises ConfigError with everything that our encoder cannot
    compute.
    """
    theirs = {**_NOMIC, **{name: value for name, value in written.items() if name in _NOMIC and value is not None}}
    rope = {"rope_theta": theirs["rope_theta"], **(theirs["rope_parameters"] or {})}
    own = theirs["hidden_size"] // theirs["num_attention_heads"]
    checks = (
        ("hidden_act", theirs["hidden_act"] in _GATES, "gelu | silu"),
        ("head_dim", theirs["head_dim"] in (None, own), f"{own}, hidden_size / num_attention_heads"),
        ("tie_word_embeddings", theirs["tie_word_embeddings"], "true"),
        ("rope_parameters", rope.get("rope_type", "default") == "default", "default rotations"),
    )
    _refuse(checks, theirs, path)
    same = ("hidden_dropout_prob", "attention_probs_dropout_prob", "type_vocab_size", "layer_norm_eps")
    return PldBertConfig(
        **_shared(theirs),
        **{name: theirs[name] for name in same},
        norm="post",
        positions="rope",
        feed_forward=_GATES[theirs["hidden_act"]],
        head_activation=theirs["hidden_act"],
        map_bias=False,
        rope_base=float(rope["rope_theta"]),
    )


def _shared(theirs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: theirs[name] for name in SHARED},
        "embedding_range": theirs["initializer_range"],
        "pad_token_id": theirs["pad_token_id"],
    }


def _by_every(layers: int, every: int) -> list[str]:
    return [_LOCAL if place % every else _FULL for place in range(layers)]


def _global_every(kinds: list[str]) -> int | None:
    """Returns n if exactly layers 1, 1 + n, ... see all positions; None for any other arrangement."""
    if set(kinds) <= {_FULL}:
        return 1
    every = kinds.index(_FULL, 1) if _FULL in kinds[1:] else len(kinds)
    return every if kinds == _by_every(len(kinds), every) else None


def _refuse(checks: tuple[tuple[str, bool, str], ...], theirs: Mapping[str, Any], path: KeyPath) -> None:
    problems = [
        Problem(f"{name} of the checkpoint's config.json", path=path, allowed=allowed, given=repr(theirs[name]))
        for name, holds, allowed in checks
        if not holds
    ]
    if problems:
        raise ConfigError(problems)
