"""Constraints of a search: `saved/flops >= 10 %`, `divergence/diverged == 0`, `forecast/total_flops <= 1e15`.

Constraints on `forecast/*` are checked before training, all others after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pld_search.frozen import Spec
from pld_search.schedules.units import seconds_of, split
from pld_search.spaces import metric_names
from pld_search.specs.metrics import metric

_PATTERN = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|<|>)\s*([^<>=]+?)\s*")
_RULE = "a constraint is NAME (<= | < | >= | > | ==) NUMBER [unit], as in `saved/flops >= 10 %`"


class Constraint(Spec):
    """One parsed constraint; `bound` is in the metric's own unit (shares as shares, times in seconds)."""

    name: str
    operator: str
    bound: float

    @property
    def key(self) -> str:
        """The text of the constraint, which names it in Optuna, in the records and in messages."""
        return f"{self.name} {self.operator} {self.bound:g}"

    @property
    def before_training(self) -> bool:
        """Whether a forecast decides the constraint."""
        return self.name.startswith("forecast/")

    def violation(self, value: float) -> float:
        """Returns 0 or less if `value` satisfies the constraint, otherwise a number above 0 that grows with the
        distance.

        This is Optuna's convention for constraints. At the bound, `<` and `>` are violated by the smallest number above
        0.
        """
        distance = (
            abs(value - self.bound)
            if self.operator == "=="
            else value - self.bound
            if self.operator[0] == "<"
            else self.bound - value
        )
        if math.isnan(distance):
            return math.inf
        return math.ulp(0.0) if self.operator in ("<", ">") and distance == 0 else distance


def parse(text: str) -> Constraint:
    """Parses a constraint. Raises ValueError with the rule (a Refusal if another metric was probably meant)."""
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(_RULE)
    name, operator, bound = match.groups()
    return Constraint(name=metric_names.known(name), operator=operator, bound=_bound(name, bound))


@dataclass(frozen=True, slots=True)
class Forecasted:
    """A constraint and the forecast that decides it."""

    limit: Constraint
    value: float

    @property
    def violation(self) -> float:
        """The distance of the forecast from the bound, in the metric's unit; 0 or less if it is satisfied."""
        return self.limit.violation(self.value)

    @property
    def violated(self) -> bool:
        """Whether the forecast lies outside the bound."""
        return self.violation > 0

    def __str__(self) -> str:
        return f"{self.limit.key} (it is {self.value:g})"


def forecasted(limits: Iterable[Constraint], forecast: Mapping[str, float]) -> list[Forecasted]:
    """Returns every constraint that a configuration's forecast decides; constraints on unknown numbers are left out."""
    decided = [limit for limit in limits if limit.before_training and limit.name in forecast]
    return [Forecasted(limit, forecast[limit.name]) for limit in decided]


def unforecast(limits: Iterable[Constraint], forecast: Mapping[str, float]) -> list[str]:
    """Returns the names of forecast constraints with unknown numbers, because the architecture was not measured."""
    return [limit.name for limit in limits if limit.before_training and limit.name not in forecast]


def _bound(name: str, text: str) -> float:
    number, unit = split(text)
    if unit == "":
        return float(number)
    measured_in = metric(name).unit
    if unit == "%" and measured_in == "share":
        return float(number / 100)
    if unit in ("s", "min", "h") and measured_in == "seconds":
        return seconds_of(text)
    raise ValueError(f"{name} is not measured in '{unit}'")


def _canonical(text: Any) -> str:
    constraint = parse(text)
    return f"{constraint.name} {constraint.operator} {text[_PATTERN.fullmatch(text).start(3) :].strip()}"  # type: ignore[union-attr]


ConstraintText = Annotated[str, BeforeValidator(_canonical), Field(description=_RULE)]
