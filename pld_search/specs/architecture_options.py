"""What encoders after BERT do in other ways: the options of an architecture, and which of them mean nothing together.

Each option is absent (None) where it is BERT's: its default, written out, becomes None, so that no digest of an
experiment without it changes. A new option that clashes with another one adds its row to `REFUSED` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from pld_search.errors import KeyPath, Reason
from pld_search.frozen import SparseSpec
from pld_search.specs import limits

ROPE_BASE = 10_000.0
GATED = ("geglu", "swiglu")


class LocalAttention(SparseSpec):
    """Layers whose positions see their neighbours alone, and among them some that see all, as in ModernBERT.

    A position of a local layer sees those at most `local` / 2 away, itself included. Layers 1, 1 + global_every, ...
    see all positions.
    """

    local: Annotated[
        int,
        Field(ge=2, le=limits.LENGTH, multiple_of=2, description="positions that a local layer's position looks over"),
    ]
    global_every: Annotated[
        int, Field(ge=1, le=limits.LAYERS, description="layer 1 and every so manieth after it see all positions")
    ]
    rope_base: Annotated[
        float | None, Field(gt=1, description="base of the rotations in local layers; default: the model's")
    ] = None

    def is_local(self, place: int) -> bool:
        """Whether layer `place`, counted from 1, sees its neighbours alone."""
        return (place - 1) % self.global_every > 0


def _none_for(default: Any) -> AfterValidator:
    return AfterValidator(lambda value: None if value == default and type(value) is type(default) else value)


def _full_or_mapping(value: Any) -> Any:
    if value != "full":
        raise ValueError("attention is `full`, or a mapping: {local: 128, global_every: 3}")
    return None


# The tags of unions are no words of a file: pydantic puts them into the location of an error, where keys stand as well.
def _attention_form(value: Any) -> str:
    return "a mapping" if isinstance(value, dict | LocalAttention) else "a word"


_LOCAL = {
    "type": "object",
    "properties": {"local": {"type": "integer"}, "global_every": {"type": "integer"}, "rope_base": {"type": "number"}},
    "required": ["local", "global_every"],
    "additionalProperties": False,
}

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
    Annotated[LocalAttention, Tag("a mapping")] | Annotated[None, BeforeValidator(_full_or_mapping), Tag("a word")],
    Discriminator(_attention_form),
    BeforeValidator(lambda value: "full" if value is None else value),
    WithJsonSchema({"anyOf": [{"const": "full"}, _LOCAL, {"type": "null"}]}),
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
"""The keys that a dump leaves out where they have no value."""


class Options(Protocol):
    """An architecture as far as its options can clash."""

    hidden: int
    heads: int
    norm: str
    positions: str
    rope_base: float | None
    attention: LocalAttention | None
    depth_scaled_norm: bool | None
    first_norm: bool | None


class OptionRule(NamedTuple):
    """One refusal: when it holds, the key it is about, why the combination has no meaning, and the other side of it."""

    clashes: Callable[[Any], bool]
    path: KeyPath
    why: str
    others: tuple[KeyPath, ...]


REFUSED: tuple[OptionRule, ...] = (
    OptionRule(
        lambda a: bool(a.depth_scaled_norm) and a.norm == "post",
        ("depth_scaled_norm",),
        "`norm: post` norms the residual stream itself, and a scale by depth would shrink it layer by layer; `norm: pre`",
        (("norm",),),
    ),
    OptionRule(
        lambda a: bool(a.depth_scaled_norm) and a.norm == "sandwich",
        ("depth_scaled_norm",),
        "`norm: sandwich` norms what a sublayer gives, which undoes a scale of what it was given; `norm: pre`",
        (("norm",),),
    ),
    OptionRule(
        lambda a: a.first_norm is False and a.norm == "post",
        ("first_norm",),
        "`norm: post` has no norm before the first layer's attention that could be left out",
        (("norm",),),
    ),
    OptionRule(
        lambda a: a.rope_base is not None and a.positions != "rope",
        ("rope_base",),
        "a base of rotations belongs to `positions: rope`",
        (("positions",),),
    ),
    OptionRule(
        lambda a: a.attention is not None and a.attention.rope_base is not None and a.positions != "rope",
        ("attention", "rope_base"),
        "a base of rotations belongs to `positions: rope`",
        (("positions",),),
    ),
    OptionRule(
        lambda a: a.positions == "rope" and (a.hidden // a.heads) % 2 > 0,
        ("positions",),
        "`positions: rope` rotates pairs of values, so hidden / heads must be even",
        (("hidden",), ("heads",)),
    ),
)


def option_refusals(architecture: Options) -> list[Reason]:
    """The reasons why these options mean nothing together, each with its key; empty when they do."""
    return [Reason(row.path, row.why, row.others) for row in REFUSED if row.clashes(architecture)]
