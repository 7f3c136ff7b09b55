"""Schedules that several tests of this room start from."""

from __future__ import annotations

from typing import Any

from pld_search.schedules.schedule import Schedule

CONVENTIONS: dict[str, Any] = {
    "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "rescale": "sublayer",
    "skipped": "freeze",
}
PLD: dict[str, Any] = {
    "temporal": {"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "100 / run"},
    "depth": {"kind": "linear", "index": "l/L"},
    **CONVENTIONS,
}
INDICES = ("l/L", "(l-1)/L", "(l-1)/(L-1)")


def schedule(**changes: Any) -> Schedule:
    """PLD with whole blocks replaced."""
    return Schedule.model_validate({**PLD, **changes})


def constant(value: float, depth: dict[str, Any] | None = None, **changes: Any) -> Schedule:
    return schedule(temporal={"kind": "constant", "value": value}, depth=depth or {"kind": "uniform"}, **changes)
