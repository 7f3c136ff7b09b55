"""Keep rates at places of a run, as `stages` and `table` hold them: `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`.

Written as a mapping, kept as pairs in order: canonical JSON sorts the keys of a mapping, and `30 %` would come before `5 %`.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import KeyPath
from pld_search.schedules.refused import Reason, Refused
from pld_search.schedules.units import Extent, Share, parse_extent, split, steps_of

Pairs = tuple[tuple[str, float], ...]


def place_order(extents: list[Any]) -> list[tuple[int, str]]:
    """Which of these extents do not come after the one before them (in the same unit), as (index, why). Malformed ones are passed over."""
    last: dict[str, Any] = {}
    wrong = []
    for index, extent in enumerate(extents):
        try:
            number, unit = split(parse_extent(extent))
        except ValueError:
            continue
        if unit in last and number <= last[unit][0]:
            wrong.append((index, f"out of order: it must come after {last[unit][1]}"))
        else:
            last[unit] = number, extent
    return wrong


def _in_order(value: Any) -> Any:
    """Refuse places out of order or written twice, before a mapping with `5 %` and `5.0 %` becomes one with one of them.

    Lists become tuples: after a validator a list of JSON is one of Python, which strict reading does not take for a tuple.
    """
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if isinstance(value, dict):
        keys: list[KeyPath] = [(key,) for key in value]
        extents = list(value)
    elif isinstance(value, tuple) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        keys, extents = [(index, 0) for index in range(len(value))], [item[0] for item in value]
    else:
        return value
    wrong: list[Reason] = [Reason(keys[index], why) for index, why in place_order(extents)]
    if wrong:
        raise Refused(wrong)
    return value


def _pairs(value: Any) -> Pairs:
    return tuple(value.items()) if isinstance(value, dict) else tuple((extent, share) for extent, share in value)


def _form(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "pairs"


Points = Annotated[
    Annotated[dict[Extent, Share], Tag("mapping")] | Annotated[tuple[tuple[Extent, Share], ...], Tag("pairs")],
    Discriminator(_form),
    BeforeValidator(_in_order),
    AfterValidator(_pairs),
    Field(description="keep rates by place: `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`, in order"),
]


def pairs_of(points: Any) -> Pairs:
    """The pairs of a validated `Points` field: the validator has made every form pairs."""
    return cast(Pairs, points)


def first_is_the_start(points: Any) -> list[Reason]:
    """The reason against places that leave the beginning of the run open."""
    pairs = pairs_of(points)
    if pairs and split(pairs[0][0])[0] == 0:
        return []
    return [Reason((pairs[0][0],) if pairs else (), "the beginning of the run is not covered: the first place is `0 %`")]


def places(points: Any, total: int) -> list[int]:
    """The steps of the places in a run of `total` steps; shares round by floor(x + 0.5)."""
    return [steps_of(extent, total) for extent, _ in pairs_of(points)]


def misplaced(points: Any, total: int) -> list[Reason]:
    """Places that a run of `total` steps does not have, or has in another order than they are written."""
    steps, pairs = places(points, total), pairs_of(points)
    reasons: list[Reason] = []
    for index, (extent, _) in enumerate(pairs):
        if steps[index] > total:
            reasons.append(Reason((extent,), f"{extent} lies outside a run of {total} steps"))
        elif index and steps[index] < steps[index - 1]:
            reasons.append(Reason((extent,), f"out of order in a run of {total} steps: it must come after {pairs[index - 1][0]}"))
    return reasons
