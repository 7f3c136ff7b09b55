"""The architecture as transformers stores it beside the weights (`config.json`), and its relation to the spec of an
experiment.
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
"""The word in config.json by which a model of this project is known."""
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
# fields of the configuration that say what an option of the spec does; absent options are the fields' defaults
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
"""Fields that the configurations of BERT and RobertaPreLayerNorm have too, of the same name and meaning."""


@dataclass
class PldBertConfig:
    """A BERT encoder with norms before (`pre`) or after (`post`) each residual sum, or before and after each sublayer
    (`sandwich`), and learned, ALiBi or rotary positions.

    `vocab_size` counts real tokens. `pad_token_id`, where given, is a row that receives no gradient as an input, as in
    BERT. `max_position_embeddings` has no meaning under ALiBi. The two stds are those of initial values.
    The `generator_*` sizes are those of ELECTRA's generator, None in any other model.
    `map_bias` is of the layers' linear maps, `norm_bias` of norms and of the heads' maps, `head_activation` of the
    masked-LM head. `local_attention` None: all layers see all positions. `layer_places` are the layers' places in the
    network that was trained, where some of them are left out; None: 1, 2, ...
    `residual_scale`: what each layer's residual is multiplied by wherever no gates are given, of the block or of each
    sublayer
    (`residual_scale_of`); None is 1. Weights trained under `rescale: evaluation` carry their keep probabilities here.
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
        """The place of every layer in the network that was trained, from 1."""
        return self.layer_places or list(range(1, self.num_hidden_layers + 1))

    @property
    def differs_by_place(self) -> bool:
        """Whether what a layer computes depends on where it stands."""
        return self.local_attention is not None or self.depth_scaled_norm or not self.first_norm

    def is_local(self, place: int) -> bool:
        """Whether the layer at `place` sees its neighbours alone."""
        return self.local_attention is not None and (place - 1) % self.global_every > 0

    @property
    def options(self) -> dict[str, Any]:
        """What the encoder computes in another way than BERT: fields whose value is not the default."""
        return {
            name: getattr(self, name) for name in _FIELDS_OF_OPTIONS if getattr(self, name) != getattr(type(self), name)
        }

    @property
    def full_depth(self) -> Gates | None:
        """How the network runs where no gates are given: None for every layer unscaled."""
        if self.residual_scale is None:
            return None
        return Gates((True,) * self.num_hidden_layers, tuple(self.residual_scale), self.residual_scale_of)  # type: ignore[arg-type]  # one of two words

    @full_depth.setter
    def full_depth(self, gates: Gates | None) -> None:
        """Store it as the two plain values that config.json holds."""
        self.residual_scale, self.residual_scale_of = (
            (None, "block") if gates is None else (list(gates.scale), gates.where)
        )

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """The configuration that a config.json holds; what it says beside (of transformers) is left out."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in written.items() if name in names})

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` as transformers writes its own."""
        text = json.dumps({**asdict(self), "model_type": MODEL_TYPE}, indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding matrix, as many as forecasts count (`Model.padded_vocabulary`)."""
        return padded(self.vocab_size)


def config_of(spec: Model, **more: Any) -> PldBertConfig:
    """The configuration of a spec; `more` gives what a checkpoint knows and a spec does not (`layer_norm_eps`,
    `pad_token_id`, ...).
    """
    plain = {theirs: getattr(spec, ours) for theirs, ours in _SPEC_NAMES.items()}
    return PldBertConfig(**plain, **{**_optional(spec), **more})


def _optional(spec: Model) -> dict[str, Any]:
    """The configuration's fields for what the spec states beside BERT's own."""
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
    """The spec of a configuration whose weights have the content digest `checkpoint`. Raises pydantic's ValidationError
    where it is none.
    """
    plain = {ours: getattr(config, theirs) for theirs, ours in _SPEC_NAMES.items()}
    return Model(**plain, **_stated(config), checkpoint=checkpoint)


def _stated(config: PldBertConfig) -> dict[str, Any]:
    """The options of a spec; those that are BERT's own become absent there."""
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
