"""Configurations of transformers' ModernBERT and NomicBert for networks trained here. Besides the exporter, only this
module needs their classes.
"""

from __future__ import annotations

from transformers import ModernBertConfig, NomicBertConfig

from pld_search.model.rotary_configs import SHARED
from pld_search.model.transformers_config import SAME_FIELDS, PldBertConfig

_ACTIVATIONS = {"geglu": "gelu", "swiglu": "silu"}
_FULL, _LOCAL = "full_attention", "sliding_attention"


def to_modern(config: PldBertConfig, pad: int, cls: int, sep: int) -> ModernBertConfig:
    """Returns ModernBERT's configuration of a network that expressible.py accepts."""
    kinds = [_LOCAL if config.is_local(place) else _FULL for place in config.places]
    bases = {_FULL: config.rope_base, _LOCAL: config.local_rope_base or config.rope_base}
    return ModernBertConfig(
        **{name: getattr(config, name) for name in SHARED},
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
    """Returns NomicBert's configuration of a network that expressible.py accepts."""
    return NomicBertConfig(
        **{name: getattr(config, name) for name in SAME_FIELDS},
        max_position_embeddings=config.max_position_embeddings,
        hidden_act=_ACTIVATIONS[config.feed_forward],
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
        pad_token_id=pad,
        dtype="float32",
    )
