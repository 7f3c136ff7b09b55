"""Architecture options of encoders after BERT, as keys.

Each option is absent (None) where it equals BERT's. A default that is written out becomes None, so that the digests of
experiments without the option do not change. architecture.py refuses combinations without a meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from pld_search.frozen import SparseSpec
from pld_search.specs import limits

ROPE_BASE = 10_000.0
GATED = ("geglu", "swiglu")


class LocalAttention(SparseSpec):
    """Local attention as in ModernBERT: most layers see only neighbouring positions, some layers see all positions.

    A position of a local layer sees the positions at most `local` / 2 away, itself included. Layers 1, 1 +
    global_every,
    ... see all positions.
    """

    local: Annotated[
        int,
        Field(
            ge=2,
            le=limits.LENGTH,
            multiple_of=2,
            description="span of positions that each position sees in a local layer",
        ),
    ]
    global_every: Annotated[
        int, Field(ge=1, le=limits.LAYERS, description="layers 1, 1 + N, 1 + 2 N, ... see all positions")
    ]
    rope_base: Annotated[
        float | None, Field(gt=1, description="base of the rotations in local layers; default: the model's")
    ] = None

    def is_local(self, place: int) -> bool:
        """Whether layer `place`, counted from 1, sees only neighbouring positions."""
        return (place - 1) % self.global_every > 0


def _none_for(default: Any) -> AfterValidator:
    return AfterValidator(lambda value: None if value == default and type(value) is type(default) else value)


def _full_or_mapping(value: Any) -> Any:
    if value != "full":
        raise ValueError("attention is `full`, or a mapping: {local: 128, global_every: 3}")
    return None


# The tags of unions are not words of a file: pydantic puts them into the location of an error, beside the keys.
def _attention_form(value: Any) -> str:
    return "a mapping" if isinstance(value, dict | LocalAttention) else "a word"


RopeBase = Annotated[
    float | None,
    Field(gt=1, description="positions: rope: base of the rotations' wavelengths; default: 10,000"),
    _none_for(ROPE_BASE),
]
FeedForwardKind = Annotated[
    Literal["gelu", "geglu", "swiglu", "relu2"] | None,
    Field(
        description="between the maps of a feed-forward: GELU, gated by GELU or SiLU, or ReLU squared; default: gelu"
    ),
    _none_for("gelu"),
]
NormKind = Annotated[
    Literal["layer", "rms"] | None,
    Field(description="LayerNorm, or by the root mean square alone; default: layer"),
    _none_for("layer"),
]
Bias = Annotated[
    Literal[True, False, "norms"] | None,
    Field(
        description="biases: everywhere; nowhere but at the tokens' logits; or not in the layers' maps; default: true"
    ),
    _none_for(True),
]
QkNorm = Annotated[
    bool | None,
    Field(description="a norm of every head's queries and keys; default: false"),
    _none_for(False),
]
Attention = Annotated[
    Annotated[LocalAttention, Tag("a mapping")]
    | Annotated[None, BeforeValidator(_full_or_mapping), WithJsonSchema({"const": "full"}), Tag("a word")],
    Discriminator(_attention_form),
    BeforeValidator(lambda value: "full" if value is None else value),
    Field(description="full, or {local: 128, global_every: 3}: which positions a layer sees; default: full"),
]
TieEmbeddings = Annotated[
    bool | None,
    Field(description="whether the decoder of tokens is their embedding; default: true"),
    _none_for(True),
]
DepthScaledNorm = Annotated[
    bool | None,
    Field(description="multiply what the norms of layer l give by 1 / sqrt(l); default: false"),
    _none_for(False),
]
TokenTypes = Annotated[
    bool | None,
    Field(description="embeddings of the two parts of a pair; ModernBERT has none; default: true"),
    _none_for(True),
]
FirstNorm = Annotated[
    bool | None,
    Field(description="the norm before the first layer's attention; ModernBERT has none; default: true"),
    _none_for(True),
]

SPARSE = (
    "rope_base",
    "feed_forward",
    "norm_kind",
    "bias",
    "qk_norm",
    "attention",
    "tie_embeddings",
    "depth_scaled_norm",
    "token_types",
    "first_norm",
)
"""The keys that a dump leaves out if they have no value."""
