"""The objectives of a search as one value: the sign of each objective, and which values are better.

All comparisons of configurations use this module: the search (promotion, confirmation, distance to the front), the
report (order of rows, Pareto front) and the samplers (directions). It compares *signed* values, of which smaller is
better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from pld_search.frozen import Spec
from pld_search.spaces import metric_names
from pld_search.specs.metrics import Direction
from pld_search.specs.validate import Refusal


def _metric(name: Any) -> Any:
    if isinstance(name, str) and name.startswith("forecast/"):
        raise Refusal("a forecast is known before the run, so it cannot be an objective", "saved/flops")
    return metric_names.known(name) if isinstance(name, str) else name


ObjectiveMetric = Annotated[str, BeforeValidator(_metric)]


class Objective(Spec):
    """One metric to minimize or maximize: its value at T, averaged over seeds."""

    minimize: Annotated[ObjectiveMetric | None, Field(description="a metric to minimize")] = None
    maximize: Annotated[ObjectiveMetric | None, Field(description="a metric to maximize")] = None

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if (self.minimize is None) == (self.maximize is None):
            raise ValueError("an objective is {minimize: METRIC} or {maximize: METRIC}")
        return self

    @property
    def metric(self) -> str:
        """The name of the metric, for either direction."""
        return self.minimize or self.maximize or ""

    @property
    def direction(self) -> Direction:
        """`minimize` or `maximize`, in Optuna's words."""
        return "minimize" if self.minimize else "maximize"

    @property
    def sign(self) -> int:
        """1 if smaller is better, -1 if larger is better: value x sign is minimized."""
        return 1 if self.minimize else -1


@dataclass(frozen=True, slots=True)
class Objectives:
    """The objectives of a search in the order written; the first one decides where a single number is needed."""

    goals: tuple[Objective, ...]

    @classmethod
    def of_definition(cls, definition: Mapping[str, Any]) -> Objectives:
        """Reads the objectives from a study's recorded definition; valid/loss if it names none."""
        search = definition.get("search") or {}
        written = search.get("objective") if isinstance(search, Mapping) else None
        several = written if isinstance(written, list | tuple) else [written]
        found = tuple(Objective.model_validate(one) for one in several if isinstance(one, Mapping))
        return cls(found or (Objective(minimize="valid/loss"),))

    def __iter__(self) -> Iterator[Objective]:
        return iter(self.goals)

    def __len__(self) -> int:
        return len(self.goals)

    @property
    def first(self) -> Objective:
        """The objective that decides where a single number is needed."""
        return self.goals[0]

    @property
    def only_first(self) -> Objectives:
        """The first objective alone, by which a tuned system is tuned."""
        return Objectives(self.goals[:1])

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective, in the order written."""
        return tuple(goal.direction for goal in self.goals)

    def signed(self, values: Sequence[float]) -> tuple[float, ...]:
        """Returns values, one for each objective, with the sign that makes smaller better."""
        return tuple(goal.sign * value for goal, value in zip(self.goals, values, strict=True))


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is at least as good as `other` in every objective and better in one. Both are signed."""
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def dominators(values: Sequence[float], others: Sequence[Sequence[float]]) -> int:
    """Returns how many of `others` dominate `values`. All are signed."""
    return sum(dominates(other, values) for other in others)


def dominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns which of the signed points (n, objectives) another point dominates (n,)."""
    no_worse = np.ones((len(values), len(values)), dtype=bool)
    better = np.zeros_like(no_worse)
    for column in values.T:
        no_worse &= column[:, None] <= column[None]
        better |= column[:, None] < column[None]
    return np.asarray((no_worse & better).any(axis=0))


def front(vectors: Sequence[Sequence[float]]) -> list[int]:
    """Returns the indices of the vectors that no other dominates, rising by the first objective. All are signed."""
    if not vectors:
        return []
    kept = np.flatnonzero(~dominated(np.array(vectors, dtype=float))).tolist()
    return sorted(kept, key=lambda index: tuple(vectors[index]))
