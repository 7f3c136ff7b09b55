"""The interface of a draw: it maps keep probabilities to kept layers, as a pure function of (seed, step, group)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pld_search.errors import Reason, Refused
from pld_search.frozen import SparseSpec
from pld_search.schedules.hash_words import words

Per = Literal["group", "sequence"]
Unit = Literal["layer", "sublayer"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The input of one draw: `steps` (S,), their keep probabilities in grid steps (S, L), and the hash words of (seed,
    part).

    part: "" for layers (and for the attention of a sublayer draw), ":feed-forward" for the other sublayer, so that each
    sublayer has its own words.
    before: only for draws that count: the running sum of S_t over the steps before each of `steps`, in grid steps
    modulo 2^32: (S,).
    """

    seed: int
    part: str
    steps: NDArray[np.int64]
    groups: int
    grid: NDArray[np.uint64]
    before: NDArray[np.uint64] | None = None

    def words(self, purpose: str, count: int) -> NDArray[np.uint32]:
        """Returns `count` words for every (step, group): (S, groups, count)."""
        return words(
            self.seed, f"plan{purpose}{self.part}", self.steps[:, None], np.arange(self.groups)[None, :], count=count
        )

    def word_of_run(self, purpose: str) -> NDArray[np.uint32]:
        """Returns one word for each group that stays the same over the run: (groups,)."""
        return words(self.seed, f"plan{purpose}{self.part}", 0, np.arange(self.groups), count=1)[:, 0]


class DrawFamily(SparseSpec):
    """A frozen value that draws layers.

    per: with `group`, all sequences of a group share one draw, however ranks and micro-batches divide the group. With
    `sequence`, each sequence of a group has its own draw, stratified over `strata` consecutive sequences
    (draw/sequence_rows.py).
    unit: with `layer`, attention and feed-forward of a layer share one draw (the paper). With `sublayer`, each has its
    own draw with the same p_l.
    counts: whether a draw depends on the steps before it.
    whole: whether nothing is sampled, so that the kept layers change by a whole layer where theta moves a little.
    """

    counts: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    per: Annotated[Per, Field(description="the unit that shares a draw: group (of sequences) | sequence")]
    unit: Annotated[
        Unit,
        Field(
            description=(
                "what is kept or dropped: layer (both sublayers together) | sublayer (attention and feed-forward "
                "on their own)"
            )
        ),
    ]
    strata: Annotated[
        int | None,
        Field(
            ge=2,
            description=(
                "with `per: sequence`: consecutive sequences over which each layer keeps the same number of "
                "rows; a micro-batch is a multiple"
            ),
        ),
    ] = None

    @model_validator(mode="after")
    def _strata_belong_to_sequences(self) -> Self:
        if self.per == "sequence" and self.strata is None:
            raise Refused(
                [
                    Reason(
                        ("per",),
                        "a draw per sequence needs `strata: N`, the consecutive sequences it is stratified over",
                        (("strata",),),
                    )
                ]
            )
        if self.per == "group" and self.strata is not None:
            raise Refused([Reason(("strata",), "only a draw `per: sequence` is stratified", (("per",),))])
        return self

    def effective(self, grid: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Returns the probabilities with which this draw keeps each layer, in grid steps: `grid` itself unless the draw
        does not sample.
        """
        return grid

    @abstractmethod
    def kept(self, sample: Sample) -> NDArray[np.bool_]:
        """Returns the layers that each group keeps at each step: bool (S, groups, L)."""

    @abstractmethod
    def variance(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the variance of the number of layers that one draw keeps: p (..., L), effective -> (...,)."""


def as_bool(kept: Any) -> NDArray[np.bool_]:
    """Returns the result of a comparison as bool; numpy's type of a comparison is open."""
    return np.asarray(kept, dtype=np.bool_)
