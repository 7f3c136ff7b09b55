"""Length of packed sequences: one number, or stages over the run (`length: {0 %: 128, 90 %: 512}`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason, Refused
from pld_search.schedules.staged_values import in_order, misfits, one_or_staged, settled, stages_of
from pld_search.schedules.units import Extent
from pld_search.specs import limits

_WHOSE = "its sequences"


def _settled(value: Any) -> Any:
    """Returns one length unchanged and stages as pairs. Raises Refused for stages without a meaning."""
    return settled(value, _WHOSE, "{} positions after {}: lengths rise")


_Positions = Annotated[int, Field(ge=8, le=limits.LENGTH)]
Length = Annotated[
    Annotated[int, Field(ge=8, le=limits.LENGTH), Tag("one")]
    | Annotated[dict[Extent, _Positions], Tag("mapping")]
    | Annotated[tuple[tuple[Extent, _Positions], ...], Tag("pairs")],
    Discriminator(one_or_staged),
    BeforeValidator(in_order),
    AfterValidator(_settled),
    Field(
        description=(
            "positions of a packed sequence, [CLS] included; in stages `{0 %: 128, 90 %: 512}`, rising, the "
            "first at `0 %`"
        )
    ),
]
"""An int, or (place, length) pairs after validation. An experiment with one length is written and hashed as an int."""


def final_length(length: Any) -> int:
    """Returns the positions at the end of a run, which validation and test also have; no stage has more."""
    return int(stages_of(length)[-1][1])


def length_misfits(length: Any, total: int) -> list[Reason]:
    """Returns the reasons why stages of length do not fit a run of `total` steps, each with its place."""
    return misfits(length, total, _WHOSE)


def refuse_beyond(length: Any, rows: int) -> None:
    """Raises Refused, with paths from the experiment, for lengths above `rows`, the size of a new model's table of
    learned positions.
    """
    rule = "length ({}) exceeds model.max_length ({}) of learned positions"
    above = [(place, positions) for place, positions in stages_of(length) if positions > rows]
    if above:
        stages = not isinstance(length, int)
        path, table = ("data", "length"), (("model", "max_length"),)
        raise Refused(
            [
                Reason((*path, place) if stages else path, rule.format(positions, rows), table)
                for place, positions in above
            ]
        )
