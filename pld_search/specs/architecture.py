"""The architecture that a user states, and the combinations of its options that have no meaning. One row is one
refusal; a test checks every pair of options.

Every other combination is built, and its FLOPs, parameters and memory are forecast. A new option that clashes with
another option adds its row to `REFUSED` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pld_search.errors import KeyPath, Reason, Refused
from pld_search.frozen import Spec
from pld_search.schedules.units import Share
from pld_search.specs import architecture_options as options
from pld_search.specs import limits


class Architecture(Spec):
    """The architecture options that a user states, the same in the written form (template.py) and in an Experiment."""

    layers: Annotated[int, Field(ge=1, le=limits.LAYERS, description="encoder blocks")]
    hidden: Annotated[
        int, Field(ge=1, le=limits.WIDTH, description="width of the residual stream, a multiple of heads")
    ]
    heads: Annotated[int, Field(ge=1, le=limits.WIDTH, description="attention heads of a block")]
    intermediate: Annotated[
        int | None,
        Field(ge=1, le=limits.WIDTH, description="width of the feed-forward; None is 4 x hidden, with a gate 8/3"),
    ] = None
    norm: Annotated[
        Literal["pre", "post", "sandwich"],
        Field(
            description="where a sublayer is normed: before it, after its sum with the stream, or before and after it"
        ),
    ] = "pre"
    positions: Annotated[
        Literal["learned", "alibi", "rope"],
        Field(
            description="a table of learned positions, a bias of the attention by distance, or rotated queries and keys"
        ),
    ] = "learned"
    max_length: Annotated[int, Field(ge=1, le=limits.LENGTH, description="rows of the table of learned positions")] = (
        512
    )
    dropout: Annotated[
        Share, Field(description="share of the values that are dropped after embeddings and sublayers")
    ] = 0.1
    attention_dropout: Annotated[Share, Field(description="share of the attention weights that are dropped")] = 0.1
    embedding_std: Annotated[float, Field(gt=0, description="std of the embeddings' initial values")] = 0.02
    init_std: Annotated[float, Field(gt=0, description="std of the other matrices' initial values")] = 0.02
    rope_base: options.RopeBase = None
    feed_forward: options.FeedForwardKind = None
    norm_kind: options.NormKind = None
    bias: options.Bias = None
    qk_norm: options.QkNorm = None
    attention: options.Attention = None
    tie_embeddings: options.TieEmbeddings = None
    depth_scaled_norm: options.DepthScaledNorm = None
    token_types: options.TokenTypes = None
    first_norm: options.FirstNorm = None

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self

    @model_validator(mode="after")
    def _options_mean_something_together(self) -> Self:
        reasons = option_refusals(self)
        if reasons:
            raise Refused(reasons)
        return self

    @model_serializer(mode="wrap")
    def _without_absent_options(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None or key not in options.SPARSE}

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has a gate, which is a third matrix."""
        return self.feed_forward in options.GATED

    @property
    def said(self) -> tuple[str, ...]:
        """The options that differ from BERT, in a word or two each: `("geglu", "rms", "bias: false")`."""
        words = []
        for key in options.SPARSE:
            value = getattr(self, key)
            if key == "attention" and self.attention is not None:
                words.append(f"local {self.attention.local}/{self.attention.global_every}")
            elif value is not None:
                words.append(value if key in ("feed_forward", "norm_kind") else f"{key}: {str(value).lower()}")
        return tuple(words)

    @property
    def inner_width(self) -> int:
        """Default width of the feed-forward: 4 x hidden. With a gate it is two thirds of that, in steps of 8, so that
        three matrices cost as much as two (Shazeer, 2020, "GLU Variants Improve Transformer").
        """
        return -(-self.hidden // 3) * 8 if self.gated else 4 * self.hidden


class OptionRule(NamedTuple):
    """One refusal: its condition, the key that it concerns, the reason, and the keys of the other side of the clash."""

    clashes: Callable[[Architecture], bool]
    path: KeyPath
    why: str
    others: tuple[KeyPath, ...]


REFUSED: tuple[OptionRule, ...] = (
    OptionRule(
        lambda a: bool(a.depth_scaled_norm) and a.norm == "post",
        ("depth_scaled_norm",),
        "`norm: post` norms the residual stream itself, and a scale by depth would shrink it layer by layer; "
        "`norm: pre`",
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


def option_refusals(architecture: Architecture) -> list[Reason]:
    """Returns the reasons why these options have no meaning together, each with its key. The list is empty if they
    do.
    """
    return [Reason(row.path, row.why, row.others) for row in REFUSED if row.clashes(architecture)]
