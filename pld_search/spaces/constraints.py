"""Constraints of a search: `saved/flops >= 10 %`, `divergence/diverged == 0`, `forecast/total_flops <= 1e15`.

Those on `forecast/*` are checked before training, the others after it.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pld_search.frozen import Spec
from pld_search.schedules.units import seconds_of, split
from pld_search.spaces import metric_names

_PATTERN = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|<|>)\s*([^<>=]+?)\s*")
_RULE = "a constraint is NAME (<= | < | >= | > | ==) NUMBER [unit], as in `saved/flops >= 10 %`"


class Constraint(Spec):
    """One parsed constraint; `bound` is in the metric's own unit (shares as shares, times in seconds)."""

    name: str
    operator: str
    bound: float

    @property
    def before_training(self) -> bool:
        """Whether the forecast decides it."""
        return self.name.startswith("forecast/")

    def violation(self, value: float) -> float:
        """0 or less where `value` satisfies the constraint, above 0 and growing with the distance where not.

        The convention of Optuna's constraints. `<` and `>` are violated at the bound, by the smallest number above 0.
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
    """The constraint a text states. Raises ValueError with the rule (a Refusal where another metric was meant)."""
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(_RULE)
    name, operator, bound = match.groups()
    return Constraint(name=metric_names.known(name), operator=operator, bound=_bound(name, bound))


def _bound(name: str, text: str) -> float:
    number, unit = split(text)
    if unit == "":
        return float(number)
    if unit == "%" and name in metric_names.SHARES:
        return float(number / 100)
    if unit in ("s", "min", "h") and name in metric_names.SECONDS:
        return seconds_of(text)
    raise ValueError(f"{name} is not measured in '{unit}'")


def _canonical(text: Any) -> str:
    constraint = parse(text)
    return f"{constraint.name} {constraint.operator} {text[_PATTERN.fullmatch(text).start(3) :].strip()}"  # type: ignore[union-attr]


ConstraintText = Annotated[str, BeforeValidator(_canonical), Field(description=_RULE)]
