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
    """A BERT encoder with the norm before (`pre`) or after (`post`) each residual sum and learned or ALiBi positions.

    `vocab_size` counts real tokens. `pad_token_id`, where given, is a row that receives no gradient as an input, as in
    BERT. `max_position_embeddings` has no meaning under ALiBi. The two stds are those of initial values.
    The `generator_*` sizes are those of ELECTRA's generator, None in any other model.
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
                ("norm", ("pre", "post")),
                ("positions", ("learned", "alibi")),
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
    return PldBertConfig(**{theirs: getattr(spec, ours) for theirs, ours in _SPEC_NAMES.items()}, **more)


def spec_of(config: PldBertConfig, checkpoint: str | None) -> Model:
    """The spec of a configuration whose weights have the content digest `checkpoint`. Raises pydantic's ValidationError
    where it is none.
    """
    return Model(**{ours: getattr(config, theirs) for theirs, ours in _SPEC_NAMES.items()}, checkpoint=checkpoint)
