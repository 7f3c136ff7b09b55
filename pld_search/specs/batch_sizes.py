"""The sequences of a global batch: one number, or stages of the run (`sequences: {0 %: 64, 20 %: 256}`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason
from pld_search.schedules.staged_values import in_order, misfits, one_or_staged, settled
from pld_search.schedules.units import Extent
from pld_search.specs import limits

_WHOSE = "its batches"


def _settled(value: Any) -> Any:
    """Returns one size unchanged and stages as pairs. Raises Refused for stages without a meaning."""
    return settled(value, _WHOSE, "{} sequences after {}: a batch grows")


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


def size_misfits(sequences: Any, total: int) -> list[Reason]:
    """Returns the reasons why stages of a batch do not fit a run of `total` steps, each with its place."""
    return misfits(sequences, total, _WHOSE)
