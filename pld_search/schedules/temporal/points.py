"""Keep rates at places of a run, as `stages` and `table` hold them: `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.schedules.staged_values import as_pairs, form_of, in_order
from pld_search.schedules.units import Extent, Share

Pairs = tuple[tuple[str, float], ...]
Points = Annotated[
    Annotated[dict[Extent, Share], Tag("mapping")] | Annotated[tuple[tuple[Extent, Share], ...], Tag("pairs")],
    Discriminator(form_of),
    BeforeValidator(in_order),
    AfterValidator(as_pairs),
    Field(description="keep rates by place: `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`, in order"),
]


def pairs_of(points: Any) -> Pairs:
    """The pairs of a validated `Points` field: the validator has made every form pairs."""
    return cast(Pairs, points)
