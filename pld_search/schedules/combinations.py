"""Refuses combinations of a schedule's conventions that have no meaning. One row is one refusal; `tests/schedules`
checks every combination.

A combination without a row here is accepted: every temporal and depth family works with every draw, every unit of a
draw with every treatment of skipped layers, and so on. A new family member that clashes with another member adds its
row here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pld_search.errors import KeyPath, Reason
from pld_search.schedules.conventions import Conventions
from pld_search.schedules.depth import LinearDepth
from pld_search.schedules.keep_grid import STEPS


class CombinationRule(NamedTuple):
    """One refusal: its condition, the key that it concerns, the reason, and the keys of the other side of the clash."""

    clashes: Callable[[Conventions], bool]
    path: KeyPath
    why: str
    others: tuple[KeyPath, ...]


def _divides(s: Conventions) -> bool:
    return s.rescale in ("sublayer", "block", "deepspeed")


def _is_deepspeeds_profile(s: Conventions) -> bool:
    return isinstance(s.depth, LinearDepth) and s.depth.index == "(l-1)/L" and s.depth.always is None


REFUSED: tuple[CombinationRule, ...] = (
    CombinationRule(
        lambda s: s.draw.kind == "lowest" and s.draw.per == "sequence",
        ("draw", "per"),
        "`draw.kind: lowest` does not sample, so there is nothing to draw for each sequence; `per: group`",
        (("draw", "kind"),),
    ),
    CombinationRule(
        lambda s: s.draw.kind == "lowest" and s.draw.unit == "sublayer",
        ("draw", "unit"),
        "`draw.kind: lowest` does not sample, so there is nothing to draw for each sublayer; `unit: layer`",
        (("draw", "kind"),),
    ),
    CombinationRule(
        lambda s: s.draw.kind == "lowest" and s.rescale != "none",
        ("rescale",),
        "with `draw.kind: lowest` a layer runs or does not, so there is no probability to rescale by; `rescale: none`",
        (("draw", "kind"),),
    ),
    CombinationRule(
        lambda s: s.draw.kind == "lowest" and s.depth.always is not None,
        ("depth", "always"),
        "with `draw.kind: lowest` the lowest layers run, whichever `depth.always` names; leave it out",
        (("draw", "kind"),),
    ),
    CombinationRule(
        lambda s: s.draw.kind == "exact" and s.draw.per == "sequence",
        ("draw", "per"),
        "`draw.kind: exact` counts the layers of a group's plan; per sequence the strata of `bernoulli` "
        "already fix how many rows each layer keeps",
        (("draw", "kind"),),
    ),
    CombinationRule(
        lambda s: s.rescale == "block" and s.draw.unit == "sublayer",
        ("rescale",),
        "`rescale: block` scales the residual of a whole block, and "
        "with `draw.unit: sublayer` its halves are dropped apart; `rescale: sublayer` is unbiased then",
        (("draw", "unit"),),
    ),
    CombinationRule(
        lambda s: (
            s.rescale == "deepspeed"
            and not (s.draw.kind == "bernoulli" and s.draw.per == "group" and s.draw.unit == "layer")
        ),
        ("rescale",),
        "`rescale: deepspeed` repeats DeepSpeed's loop, which drew every layer for itself, once for both sublayers: "
        "`draw: {kind: bernoulli, per: group, unit: layer}`",
        (("draw",),),
    ),
    CombinationRule(
        lambda s: s.rescale == "deepspeed" and not _is_deepspeeds_profile(s),
        ("rescale",),
        "`rescale: deepspeed` divides by the keep probability of the next layer in DeepSpeed's own profile: "
        "`depth: {kind: linear, index: (l-1)/L}` without `always`",
        (("depth",),),
    ),
    CombinationRule(
        lambda s: s.skipped != "freeze" and s.draw.per == "sequence",
        ("skipped",),
        "with `draw.per: sequence` every layer runs for some rows, so none is ever skipped; `skipped: freeze`",
        (("draw", "per"),),
    ),
    CombinationRule(
        lambda s: (
            _divides(s)
            and min(s.depth.least(s.temporal.lowest), s.temporal.lowest if s.rescale == "deepspeed" else 1.0) * STEPS
            < 1
        ),
        ("rescale",),
        "a rescale divides by the keep probability, so no `temporal` keep rate may fall below 2^-32; a floor "
        "of 0 needs `rescale: none` or `evaluation`",
        (
            ("temporal",),
            ("depth",),
        ),
    ),
    CombinationRule(
        lambda s: s.run is not None and not s.temporal.per_step,
        ("run",),
        "`run` fixes the number of steps that `/ step` rates and places in steps were chosen for, and this "
        "schedule has none; "
        "leave `run` out or set it to null",
        (("temporal",),),
    ),
)


def refusals(schedule: Conventions) -> list[Reason]:
    """Returns the reasons why this combination has no meaning, each with its key. The list is empty for a valid one."""
    return [Reason(row.path, row.why, row.others) for row in REFUSED if row.clashes(schedule)]
