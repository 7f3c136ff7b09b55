"""The sequences of a global batch: one number, or stages of the run (`sequences: {0 %: 64, 20 %: 256}`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason
from pld_search.schedules.rising_stages import StagesAt
from pld_search.schedules.staged_values import held, in_order, one_or_staged, settled, unbegun
from pld_search.schedules.units import Extent
from pld_search.specs import limits

Pairs = tuple[tuple[str, int], ...]
_WHOSE = "its batches"


def _settled(value: Any) -> int | Pairs:
    found: int | Pairs = settled(value, _WHOSE, "{} sequences after {}: a batch grows")
    return found


_Size = Annotated[int, Field(ge=1, le=limits.COUNT)]
Sequences = Annotated[
    Annotated[int, Field(ge=1, le=limits.COUNT), Tag("one")]
    | Annotated[dict[Extent, _Size], Tag("mapping")]
    | Annotated[tuple[tuple[Extent, _Size], ...], Tag("pairs")],
    Discriminator(one_or_staged),
    BeforeValidator(in_order),
    AfterValidator(_settled),
    Field(
        description=(
            "packed sequences of one optimizer step; in stages `{0 %: 64, 20 %: 256}`, rising, the first at `0 %`"
        )
    ),
]
"""An int, or (place, sequences) pairs after validation. An experiment with one size keeps its text and its digest."""


def size_pairs(sequences: Any) -> Pairs:
    """Returns (place, sequences) of every stage; one size is one stage."""
    return (("0 %", sequences),) if isinstance(sequences, int) else sequences


def sizes_at(sequences: Any, total: int) -> StagesAt:
    """Returns the number of sequences at each step of a run of `total` steps."""
    return StagesAt(*held(size_pairs(sequences), total))


def size_misfits(sequences: Any, total: int) -> list[Reason]:
    """Returns the reasons why stages of a batch do not fit a run of `total` steps, each with its place."""
    return [] if isinstance(sequences, int) else unbegun(sequences, total, _WHOSE)


def sizes_text(sequences: Any) -> str:
    """Returns `64`, or for stages `64>256`."""
    return ">".join(str(size) for _, size in size_pairs(sequences))
