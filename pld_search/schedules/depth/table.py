"""One number a layer."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.errors import Reason
from pld_search.schedules.depth.family import DepthFamily
from pld_search.schedules.units import Share


class DepthTable(DepthFamily):
    """p_l = q_l + (1 - q_l) theta, with q_l from the table; 1 for the layers in `always`. It is 1 - f_l (1 - theta)
    with f_l = 1 - q_l.

    Args:
        values: q_1 .. q_L, a share each: the keep probability of layer l when theta is 0. Another number of layers is
        refused.

    >>> DepthTable(values=(1.0, 0.5, 0.0)).keep(np.array([1.0, 0.5, 0.0]), 3)
    array([[1.  , 1.  , 1.  ],
           [1.  , 0.75, 0.5 ],
           [1.  , 0.5 , 0.  ]])

    Source: none; for profiles that no formula of the library has, from measured importances for instance.
    """

    kind: Literal["table"] = "table"
    values: Annotated[
        tuple[Share, ...],
        Field(min_length=1, description="q_l for l = 1 .. L: the keep probability of layer l when theta is 0"),
    ]

    def fractions(self, layers: int) -> NDArray[np.float64]:  # noqa: ARG002 - `misfits` has refused another number of layers
        """1 - value of each layer: float64 (layers,), so that theta = 0 keeps a layer with its value."""
        return 1.0 - np.array(self.values)

    def least(self, theta: float) -> float:
        """The smallest keep probability of the table's layers at this theta."""
        return min(value + (1.0 - value) * theta for value in self.values)

    def misfits(self, layers: int) -> list[Reason]:
        """A table fits models of as many layers as it has values."""
        own: list[Reason] = []
        if len(self.values) != layers:
            own.append(Reason(("values",), f"a table of {len(self.values)} layers, for a model of {layers} layers"))
        return own + super().misfits(layers)
