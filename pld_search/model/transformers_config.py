"""The architecture as transformers stores it beside the weights (`config.json`), and its conversion from and to the
spec of an experiment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.plan import Gates
from pld_search.specs.architecture_options import GATED, ROPE_BASE
from pld_search.specs.experiment import Model, padded

MODEL_TYPE = "pld_bert"
"""The word in config.json that identifies a model of this project."""
# a configuration's name -> the spec's
_SPEC_NAMES = {
    "vocab_size": "vocabulary",
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "intermediate",
    "norm": "norm",
    "positions": "positions",
    "max_position_embeddings": "max_length",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "init_std",
    "embedding_range": "embedding_std",
}
# fields of the configuration for options of the spec; an absent option has the field's default
_FIELDS_OF_OPTIONS = (
    *("feed_forward", "norm_kind", "qk_norm", "rope_base", "depth_scaled_norm", "first_norm", "map_bias", "norm_bias"),
    *("tie_word_embeddings", "local_attention", "global_every", "local_rope_base", "layer_places", "head_activation"),
)

SAME_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "type_vocab_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "initializer_range",
    "layer_norm_eps",
)
"""Fields with the same name and meaning in the configurations of BERT and RobertaPreLayerNorm."""


@dataclass
class PldBertConfig:
    """A BERT encoder with norms before (`pre`) or after (`post`) each residual sum, or before and after each sublayer
    (`sandwich`), and learned, ALiBi or rotary positions.

    `vocab_size` counts real tokens. `pad_token_id`, if given, is a row that receives no gradient as an input, as in
    BERT. `max_position_embeddings` has no meaning under ALiBi. `initializer_range` and `embedding_range` are standard
    deviations of initial values. The `generator_*` sizes belong to ELECTRA's generator and are None in other models.
    `map_bias` refers to the layers' linear maps, `norm_bias` to norms and to the heads' maps, `head_activation` to the
    masked-LM head. `local_attention` None: all layers see all positions. `layer_places` are the layers' places in the
    trained network if some of its layers were removed; None: 1, 2, ...
    `residual_scale`: the factor on each layer's residual when no gates are given, on the block's residual or on each
    sublayer's (`residual_scale_of`); None is 1. Weights trained under `rescale: evaluation` store their keep
    probabilities here.
    """

    model_type = "pld_bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    norm: str = "pre"
    positions: str = "learned"
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    classifier_dropout: float | int | None = None
    initializer_range: float = 0.02
    embedding_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True
    feed_forward: str = "gelu"
    head_activation: str = "gelu"
    norm_kind: str = "layer"
    map_bias: bool = True
    norm_bias: bool = True
    qk_norm: bool = False
    rope_base: float = 10_000.0
    local_attention: int | None = None
    global_every: int = 1
    local_rope_base: float | None = None
    depth_scaled_norm: bool = False
    first_norm: bool = True
    layer_places: list[int] | None = None
    generator_hidden_size: int | None = None
    generator_layers: int | None = None
    generator_heads: int | None = None
    generator_intermediate_size: int | None = None
    residual_scale: list[float] | None = None
    residual_scale_of: str = "block"
    num_labels: int = 2
    problem_type: str | None = None
    architectures: list[str] | None = None

    def __post_init__(self) -> None:
        problems = [
            Problem("unknown value", path=(name,), allowed=" | ".join(allowed), given=repr(getattr(self, name)))
            for name, allowed in (
                ("norm", ("pre", "post", "sandwich")),
                ("positions", ("learned", "alibi", "rope")),
                ("feed_forward", ("gelu", "geglu", "swiglu", "relu2")),
                ("norm_kind", ("layer", "rms")),
                ("head_activation", ("gelu", "silu")),
                ("residual_scale_of", ("block", "sublayer")),
            )
            if getattr(self, name) not in allowed
        ]
        if self.hidden_size % self.num_attention_heads:
            problems.append(
                Problem(
                    "hidden_size must be a multiple of num_attention_heads",
                    given=f"{self.hidden_size} and {self.num_attention_heads}",
                )
            )
        if self.layer_places is not None and len(self.layer_places) != self.num_hidden_layers:
            rule, given = "layer_places has one number a layer", str(len(self.layer_places))
            problems.append(Problem(rule, allowed=str(self.num_hidden_layers), given=given))
        if self.residual_scale is not None and len(self.residual_scale) != self.num_hidden_layers:
            problems.append(
                Problem(
                    "residual_scale has one number a layer",
                    allowed=str(self.num_hidden_layers),
                    given=str(len(self.residual_scale)),
                )
            )
        if problems:
            raise ConfigError(problems)

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has a gate."""
        return self.feed_forward in GATED

    @property
    def places(self) -> list[int]:
        """The place of every layer in the trained network, from 1."""
        return self.layer_places or list(range(1, self.num_hidden_layers + 1))

    @property
    def differs_by_place(self) -> bool:
        """Whether the computation of a layer depends on its place."""
        return self.local_attention is not None or self.depth_scaled_norm or not self.first_norm

    def is_local(self, place: int) -> bool:
        """Whether the layer at `place` sees only neighbouring positions."""
        return self.local_attention is not None and (place - 1) % self.global_every > 0

    @property
    def options(self) -> dict[str, Any]:
        """The fields whose value differs from BERT's default."""
        return {
            name: getattr(self, name) for name in _FIELDS_OF_OPTIONS if getattr(self, name) != getattr(type(self), name)
        }

    @property
    def full_depth(self) -> Gates | None:
        """The gates of the network when no gates are given; None means every layer unscaled."""
        if self.residual_scale is None:
            return None
        return Gates((True,) * self.num_hidden_layers, tuple(self.residual_scale), self.residual_scale_of)  # type: ignore[arg-type]  # one of two words

    @full_depth.setter
    def full_depth(self, gates: Gates | None) -> None:
        """Stores the gates as the two plain values of config.json."""
        self.residual_scale, self.residual_scale_of = (
            (None, "block") if gates is None else (list(gates.scale), gates.where)
        )

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """Returns the configuration in a config.json; other fields (of transformers) are left out."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in written.items() if name in names})

    def save_pretrained(self, folder: Path) -> None:
        """Writes `config.json` as transformers writes its own."""
        text = json.dumps({**asdict(self), "model_type": MODEL_TYPE}, indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")

    @property
    def padded_vocab_size(self) -> int:
        """The rows of the embedding matrix, as in forecasts (`Model.padded_vocabulary`)."""
        return padded(self.vocab_size)


def config_of(spec: Model, **more: Any) -> PldBertConfig:
    """Returns the configuration of a spec; `more` gives fields that a checkpoint has and a spec lacks
    (`layer_norm_eps`, `pad_token_id`, ...).
    """
    plain = {theirs: getattr(spec, ours) for theirs, ours in _SPEC_NAMES.items()}
    return PldBertConfig(**plain, **{**_optional(spec), **more})


def _optional(spec: Model) -> dict[str, Any]:
    """Returns the configuration's fields for the options of the spec."""
    local = spec.attention
    types = {"type_vocab_size": 0} if spec.token_types is False else {}
    return types | {
        "feed_forward": spec.feed_forward or "gelu",
        "norm_kind": spec.norm_kind or "layer",
        "map_bias": spec.bias is None,
        "norm_bias": spec.bias is not False,
        "qk_norm": bool(spec.qk_norm),
        "rope_base": spec.rope_base or ROPE_BASE,
        "local_attention": local and local.local,
        "global_every": local.global_every if local else 1,
        "local_rope_base": local and local.rope_base,
        "tie_word_embeddings": spec.tie_embeddings is None,
        "depth_scaled_norm": bool(spec.depth_scaled_norm),
        "first_norm": spec.first_norm is None,
    }


def spec_of(config: PldBertConfig, checkpoint: str | None) -> Model:
    """Returns the spec of a configuration whose weights have the content digest `checkpoint`. Raises pydantic's
    ValidationError if the configuration has no valid spec.
    """
    plain = {ours: getattr(config, theirs) for theirs, ours in _SPEC_NAMES.items()}
    return Model(**plain, **_stated(config), checkpoint=checkpoint)


def _stated(config: PldBertConfig) -> dict[str, Any]:
    """Returns the options of a spec; options that equal BERT's become absent there."""
    local: dict[str, Any] = {"local": config.local_attention, "global_every": config.global_every}
    if config.local_rope_base is not None:
        local["rope_base"] = config.local_rope_base
    return {
        "rope_base": config.rope_base if config.positions == "rope" else None,
        "feed_forward": config.feed_forward,
        "norm_kind": config.norm_kind,
        "bias": True if config.map_bias else "norms" if config.norm_bias else False,
        "qk_norm": config.qk_norm,
        "attention": "full" if config.local_attention is None else local,
        "tie_embeddings": config.tie_word_embeddings,
        "depth_scaled_norm": config.depth_scaled_norm,
        "token_types": config.type_vocab_size > 0,
        "first_norm": config.first_norm,
    }
