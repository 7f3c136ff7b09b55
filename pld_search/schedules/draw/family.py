"""What every draw promises: from keep probabilities to what is kept, a pure function of (seed, step, group)."""

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
    """What one draw is made from: `steps` (S,), their keep probabilities in grid steps (S, L), and the hash words of
    (seed, part).

    part: "" for layers (and the attention of a sublayer draw), ":feed-forward" for the other sublayer, which makes its
    words its own.
    before: of the draws that count, the running sum of S_t over the steps before each of `steps`, in grid steps modulo
    2^32: (S,).
    """

    seed: int
    part: str
    steps: NDArray[np.int64]
    groups: int
    grid: NDArray[np.uint64]
    before: NDArray[np.uint64] | None = None

    def words(self, purpose: str, count: int) -> NDArray[np.uint32]:
        """`count` words of every (step, group): (S, groups, count)."""
        return words(
            self.seed, f"plan{purpose}{self.part}", self.steps[:, None], np.arange(self.groups)[None, :], count=count
        )

    def word_of_run(self, purpose: str) -> NDArray[np.uint32]:
        """One word a group that stays the same over the run: (groups,)."""
        return words(self.seed, f"plan{purpose}{self.part}", 0, np.arange(self.groups), count=1)[:, 0]


class DrawFamily(SparseSpec):
    """A frozen value that draws layers.

    per: `group`: one draw for a group of sequences, whatever ranks and micro-batches it is cut into. `sequence`: each
    sequence of a group has its own, stratified over `strata` consecutive ones (draw/rows.py).
    unit: `layer`: attention and feed-forward of a layer share one draw (the paper). `sublayer`: each has its own, with
    the same p_l.
    counts: whether a draw depends on the steps before it. whole: whether nothing is sampled, so that what is kept jumps
    by a layer where theta moves a little.
    """

    counts: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    per: Annotated[Per, Field(description="what shares a draw: group (of sequences) | sequence")]
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
        """The probabilities with which this draw keeps each layer, in grid steps: the ones asked for, unless it does
        not sample.
        """
        return grid

    @abstractmethod
    def kept(self, sample: Sample) -> NDArray[np.bool_]:
        """Which layers each group keeps at each step: bool (S, groups, L)."""

    @abstractmethod
    def variance(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of the number of layers that one draw keeps: p (..., L), effective -> (...,)."""


def as_bool(kept: Any) -> NDArray[np.bool_]:
    """The result of a comparison, whose type numpy leaves open."""
    return np.asarray(kept, dtype=np.bool_)
