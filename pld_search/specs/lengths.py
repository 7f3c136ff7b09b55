"""Length of packed sequences: one, or several in stages of the run (`length: {0 %: 128, 90 %: 512}`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason, Refused
from pld_search.schedules.rising_stages import StagesAt
from pld_search.schedules.staged_values import held, in_order, one_or_staged, settled, unbegun
from pld_search.schedules.units import Extent
from pld_search.specs import limits

Pairs = tuple[tuple[str, int], ...]
_WHOSE = "its sequences"


def _settled(value: Any) -> int | Pairs:
    found: int | Pairs = settled(value, _WHOSE, "{} positions after {}: lengths rise")
    return found


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
"""An int, or (place, length) pairs after validation: an experiment of one length is written, and hashed, as ever."""


def pairs_of(length: Any) -> Pairs:
    """(place, length) of every stage; one length is one stage."""
    return (("0 %", length),) if isinstance(length, int) else length


def final_length(length: Any) -> int:
    """Positions at the end of a run, the most there are: those of validation and test."""
    return pairs_of(length)[-1][1]


def lengths_at(length: Any, total: int) -> StagesAt:
    """The length at each step of a run of `total` steps."""
    return StagesAt(*held(pairs_of(length), total))


def length_misfits(length: Any, total: int) -> list[Reason]:
    """Why stages of length are not for a run of `total` steps, each with its place."""
    return [] if isinstance(length, int) else unbegun(length, total, _WHOSE)


def refuse_beyond(length: Any, rows: int) -> None:
    """Raises Refused, with paths from an experiment, for lengths above the `rows` of a new model's table of learned
    positions.
    """
    rule = "length ({}) exceeds model.max_length ({}) of learned positions"
    above = [(place, positions) for place, positions in pairs_of(length) if positions > rows]
    if above:
        stages = not isinstance(length, int)
        path, table = ("data", "length"), (("model", "max_length"),)
        raise Refused(
            [
                Reason((*path, place) if stages else path, rule.format(positions, rows), table)
                for place, positions in above
            ]
        )


def length_text(length: Any) -> str:
    """`128`, or in stages `128>512`."""
    return ">".join(str(positions) for _, positions in pairs_of(length))
