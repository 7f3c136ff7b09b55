"""Values at places of a run, `{0 %: a, 30 %: b, 9000 steps: c}`: their order, their steps and their errors.

They are written as a mapping and stored as pairs in order: canonical JSON sorts the keys of a mapping, which would put
`30 %` before `5 %`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pld_search.errors import KeyPath, Reason, Refused
from pld_search.schedules.units import parse_extent, split, steps_of

AnyPairs = Sequence[tuple[str, Any]]
"""(extent, value) of every place, in order."""


def place_order(extents: list[Any]) -> list[tuple[int, str]]:
    """Returns (index, reason) of every extent that does not come after the extent before it in the same unit. Malformed
    extents are ignored.
    """
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


def in_order(value: Any) -> Any:
    """Refuses places that are out of order or written twice. It runs before pydantic turns a mapping with `5 %` and
    `5.0 %` into a mapping with one of them.

    Lists become tuples, because strict validation does not accept a list of JSON for a tuple after a validator.
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


def as_pairs(value: Any) -> tuple[tuple[str, Any], ...]:
    """Returns validated places in either form as pairs."""
    return tuple(value.items()) if isinstance(value, dict) else tuple((extent, held) for extent, held in value)


def form_of(value: Any) -> str:
    """Returns the tag of the form in which places are written."""
    return "mapping" if isinstance(value, dict) else "pairs"


def one_or_staged(value: Any) -> str:
    """Returns the tag of the form of one value or of several values at places. A mapping without a place (for instance
    a misspelt domain) counts as one value.
    """
    if isinstance(value, dict) and any(isinstance(key, str) and key[:1].isdigit() for key in value):
        return form_of(value)
    return "pairs" if isinstance(value, list | tuple) else "one"


def stages_of(value: Any) -> tuple[tuple[str, Any], ...]:
    """Returns (place, value) of every stage of a validated value; one value is one stage."""
    return tuple(value) if isinstance(value, tuple | list) else (("0 %", value),)


def stages_text(value: Any) -> str:
    """Returns one value as text, `128`, and stages as `128>512`."""
    return ">".join(str(each) for _, each in stages_of(value))


def first_is_the_start(pairs: AnyPairs) -> list[Reason]:
    """Returns the reason against places that do not cover the beginning of the run."""
    if pairs and split(pairs[0][0])[0] == 0:
        return []
    return [
        Reason((pairs[0][0],) if pairs else (), "the beginning of the run is not covered: the first place is `0 %`")
    ]


def places(pairs: AnyPairs, total: int) -> list[int]:
    """Returns the steps of the places in a run of `total` steps; shares round by floor(x + 0.5)."""
    return [steps_of(extent, total) for extent, _ in pairs]


def misplaced(pairs: AnyPairs, total: int) -> list[Reason]:
    """Returns reasons against places outside a run of `total` steps, or in another order there than written."""
    steps = places(pairs, total)
    reasons: list[Reason] = []
    for index, (extent, _) in enumerate(pairs):
        if steps[index] > total:
            reasons.append(Reason((extent,), f"{extent} lies outside a run of {total} steps"))
        elif index and steps[index] < steps[index - 1]:
            reasons.append(
                Reason((extent,), f"out of order in a run of {total} steps: it must come after {pairs[index - 1][0]}")
            )
    return reasons


def held(pairs: AnyPairs, total: int) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Returns (begins, values): the rising steps of a run of `total` steps from which each value holds. Where two
    places fall on one step, the later place holds.

    In a run that these places do not fit (`unbegun`), a place after which an earlier step is written is dropped.
    """
    kept: dict[int, Any] = {}
    for step, (_, value) in zip(places(pairs, total), pairs, strict=True):
        kept = {begin: earlier for begin, earlier in kept.items() if begin < step} | {step: value}
    return tuple(kept), tuple(kept.values())


def at_the_end(pairs: AnyPairs, whose: str) -> list[Reason]:
    """Returns reasons against stages that begin at `100 %`; `whose` names the thing that is left without a step."""
    return [Reason((place,), _ends(whose)) for place, _ in pairs if place == "100 %"]


def settled(value: Any, whose: str, rises: str | None = None) -> Any:
    """Returns one value unchanged, and stages as pairs. Raises Refused for stages that do not cover the start or that
    begin at the end. With `rises`, a message with a value and its predecessor, it also refuses stages that do not rise.
    """
    if not isinstance(value, dict | tuple):
        return value
    pairs = as_pairs(value)
    reasons = [*first_is_the_start(pairs), *at_the_end(pairs, whose)]
    if rises is not None:
        reasons += [
            Reason((place,), rises.format(later, before), ((earlier,),))
            for (earlier, before), (place, later) in pairwise(pairs)
            if later <= before
        ]
    if reasons:
        raise Refused(reasons)
    return pairs


def unbegun(pairs: AnyPairs, total: int, whose: str) -> list[Reason]:
    """Returns reasons against stages outside a run of `total` steps, in another order there, or without a step."""
    reasons = misplaced(pairs, total)
    if reasons:
        return reasons
    steps = places(pairs, total)
    return [
        Reason((place,), f"{_ends(whose)} ({total} steps)")
        for (place, _), step in zip(pairs, steps, strict=True)
        if step >= total
    ]


def misfits(value: Any, total: int, whose: str) -> list[Reason]:
    """Returns the reasons of `unbegun` against stages; one value fits every run."""
    return unbegun(value, total, whose) if isinstance(value, tuple) else []


def _ends(whose: str) -> str:
    return f"begins at the end of the run, so that no step is left for {whose}"
