"""How a system's learning rate is tuned: by trials of a sampler over its open domains, or by a grid of rates.

    tune: 6                                       six trials over its open domains; the best is its row
    tune: {optimizer.lr: [1e-3, 2e-3, 4e-3]}      one run a rate; its row runs at the vertex of a quadratic through all

The runs of a grid have a seed that no row has, so other runs test the rate that they chose. In the tree, a grid is a
domain from its lowest to its highest rate. Tuning asks for the stated values, and the row asks for the vertex.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, WithJsonSchema, model_validator

from pld_search.frozen import Spec
from pld_search.specs import limits
from pld_search.specs.yaml_io import Map, Seq

RATE = ("optimizer", "lr")
RATE_NAME = "optimizer.lr"
LEAST = 3
"""A quadratic needs at least three rates."""


class TunedOptimizer(Spec):
    """The rates of a grid."""

    lr: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(min_length=LEAST, max_length=50, description="learning rates, one run each"),
    ]

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.lr)) < len(self.lr):
            raise ValueError("the same learning rate twice")
        return self


class TuneGrid(Spec):
    """A grid of learning rates; no other parameter is tuned by a grid."""

    optimizer: TunedOptimizer

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates in rising order."""
        return tuple(sorted(self.optimizer.lr))


def _form(value: Any) -> str:
    return "is a grid" if isinstance(value, dict | TuneGrid) else "is a number"


_RATES = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": LEAST, "uniqueItems": True}
_GRID = {
    "type": "object",
    "properties": {
        RATE_NAME: _RATES | {"description": "learning rates, one run each"},
        "optimizer": {
            "type": "object",
            "properties": {"lr": _RATES | {"description": "learning rates, one run each"}},
            "required": ["lr"],
            "additionalProperties": False,
            "description": "the rates of a grid",
        },
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
WrittenTune = Annotated[
    Annotated[int, Field(ge=1, le=limits.TRIALS), Tag("is a number")] | Annotated[TuneGrid, Tag("is a grid")],
    Discriminator(_form),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": limits.TRIALS}, _GRID]}),
]


def opened_at(changes: Map, grid: TuneGrid, mark: Any) -> Map:
    """Returns a system's changes with its rate open over the grid; new values have the mark of `tune`."""
    domain = Map(mark=mark)
    domain.put("log", Seq([grid.rates[0], grid.rates[-1]], mark, [mark, mark]), (mark, mark))
    result = changes.copy()
    optimizer = result["optimizer"].copy() if isinstance(result.get("optimizer"), Map) else Map(mark=mark)
    optimizer.put("lr", domain, (mark, mark))
    result.put("optimizer", optimizer, (mark, mark))
    return result
