"""Refuses networks that transformers' classes cannot compute: every reason, each with its key.

A network without rotary positions is written as BERT or RobertaPreLayerNorm; with rotary positions as ModernBERT
(pre-norm) or NomicBert (post-norm).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pld_search.errors import ConfigError, Problem
from pld_search.model.transformers_config import PldBertConfig

_Test = Callable[[PldBertConfig], bool]


class _Rule(NamedTuple):
    """One refusal: its condition, the key below `model`, the reason, and the value that can be written instead."""

    holds: _Test
    key: str
    why: str
    allowed: str


def _any_config(config: PldBertConfig) -> bool:
    return config.norm != "sandwich"


def _as_bert(config: PldBertConfig) -> bool:
    return _any_config(config) and config.positions == "learned"


def _as_modern(config: PldBertConfig) -> bool:
    return config.positions == "rope" and config.norm == "pre" and config.generator_layers is None


def _as_nomic(config: PldBertConfig) -> bool:
    return config.positions == "rope" and config.norm == "post" and config.generator_layers is None


def _both(one: _Test, other: _Test) -> _Test:
    return lambda config: one(config) and other(config)


_RULES: tuple[_Rule, ...] = (
    _Rule(
        lambda c: c.positions == "alibi",
        "positions",
        "ALiBi cannot be exported: no encoder of transformers adds a bias by distance to its attention; pre-train with "
        "`positions: learned` or `rope`",
        "learned | rope",
    ),
    _Rule(lambda c: c.norm == "sandwich", "norm", "no class norms a sublayer before and after it", "pre | post"),
    _Rule(lambda c: c.norm_kind == "rms", "norm_kind", "no class has RMSNorm", "layer"),
    _Rule(lambda c: c.qk_norm, "qk_norm", "no class norms queries and keys", "false"),
    _Rule(
        lambda c: c.generator_layers is not None and c.norm == "pre",
        "norm",
        "transformers' Electra is post-norm: a pre-norm discriminator cannot be written in its form",
        "post",
    ),
    _Rule(
        lambda c: c.generator_layers is not None and c.positions == "rope",
        "positions",
        "transformers' Electra has learned positions",
        "learned",
    ),
    _Rule(_both(_as_bert, lambda c: c.feed_forward != "gelu"), "feed_forward", "BERT's is GELU", "gelu"),
    _Rule(_both(_as_bert, lambda c: not c.map_bias), "bias", "BERT's layers have biases", "true"),
    _Rule(_both(_as_bert, lambda c: c.local_attention is not None), "attention", "BERT's is full", "full"),
    _Rule(_both(_as_bert, lambda c: not c.tie_word_embeddings), "tie_embeddings", "BERT's are tied", "true"),
    _Rule(_both(_as_bert, lambda c: not c.type_vocab_size), "token_types", "BERT has token types", "true"),
    _Rule(_both(_as_bert, lambda c: not c.first_norm), "first_norm", "RobertaPreLayerNorm has it", "true"),
    _Rule(_both(_as_modern, lambda c: not c.gated), "feed_forward", "ModernBERT's has a gate", "geglu | swiglu"),
    _Rule(_both(_as_modern, lambda c: c.type_vocab_size > 0), "token_types", "ModernBERT has none", "false"),
    _Rule(_both(_as_modern, lambda c: c.first_norm), "first_norm", "ModernBERT has none", "false"),
    _Rule(_both(_as_nomic, lambda c: not c.gated), "feed_forward", "NomicBert's has a gate", "geglu | swiglu"),
    _Rule(_both(_as_nomic, lambda c: c.map_bias or not c.norm_bias), "bias", "NomicBert's norms alone have", "norms"),
    _Rule(_both(_as_nomic, lambda c: c.local_attention is not None), "attention", "NomicBert's is full", "full"),
    _Rule(_both(_as_nomic, lambda c: not c.tie_word_embeddings), "tie_embeddings", "NomicBert's are tied", "true"),
    _Rule(_both(_as_nomic, lambda c: not c.type_vocab_size), "token_types", "NomicBert has token types", "true"),
    _Rule(
        _both(_as_nomic, lambda c: (c.feed_forward == "swiglu") != (c.head_activation == "silu")),
        "feed_forward",
        "NomicBert's head has the activation of its feed-forwards, and the head that was trained has GELU",
        "geglu",
    ),
)


def refuse_inexpressible(config: PldBertConfig) -> None:
    """Raises ConfigError with every reason why transformers' classes cannot compute this configuration."""
    problems = [Problem(rule.why, ("model", rule.key), allowed=rule.allowed) for rule in _RULES if rule.holds(config)]
    if not _foldable(config):
        rule = (
            "the residuals of whole blocks are scaled (`rescale: evaluation` with `unit: layer`), and "
            "weights cannot take that in: the feed-forward reads "
            "the attention's output unscaled; `unit: sublayer` can be exported, and so can a subnetwork "
            "(--layers), which scales nothing"
        )
        problems.append(Problem(rule, ("schedule", "rescale")))
    if problems:
        raise ConfigError(problems)


def _foldable(config: PldBertConfig) -> bool:
    return (
        config.residual_scale is None
        or config.residual_scale_of == "sublayer"
        or all(scale == 1.0 for scale in config.residual_scale)
    )
