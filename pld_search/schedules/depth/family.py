"""The interface of a depth family: it maps theta to the keep probability p_l of every layer l = 1 .. L (layer 1 is next
to the embeddings).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from pld_search.errors import Reason
from pld_search.frozen import SparseSpec

Index = Literal["l/L", "(l-1)/L", "(l-1)/(L-1)"]
IndexField = Annotated[
    Index,
    Field(
        description="f_l of layer l = 1 .. L: l/L (paper) | (l-1)/L (DeepSpeed) | "
        "(l-1)/(L-1) (first layer never dropped)"
    ),
]


def fractions_of(index: Index, layers: int) -> NDArray[np.float64]:
    """Returns the relative depth of each layer, 0 .. 1, by an index convention: float64 (layers,).

    Sources differ, so the convention must be named:
        l/L          the paper's equation (Zhang & He, 2020, arXiv 2010.13369): the first layer is dropped too, the last
                     layer has theta
        (l-1)/L      DeepSpeed's loop (deepspeed/runtime/progressive_layer_drop.py, up to 0.19.6): the last layer has
                     more than theta
        (l-1)/(L-1)  "Don't Drop Dropout" (arXiv 2609.05275): the first layer is never dropped, the last has theta

    With one layer (l-1)/(L-1) is 0/0. The only layer counts as the first then, so f = 0.
    """
    number = np.arange(1, layers + 1, dtype=np.float64)
    if index == "l/L":
        return number / layers
    return (number - 1) / (layers if index == "(l-1)/L" else max(layers - 1, 1))


def _layer(value: Any) -> Any:
    if value in ("first", "last") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("a layer is `first`, `last` or its number from 1")


Layer = Annotated[int | Literal["first", "last"], BeforeValidator(_layer)]
Always = Annotated[
    tuple[Layer, ...] | None,
    Field(min_length=1, description="layers that are never dropped: `[first, last]` or numbers from 1"),
]


class DepthFamily(SparseSpec):
    """A frozen value with `keep(theta, layers)`: p_l = 1 - f_l (1 - theta). Each family defines f_l in [0, 1]; layers
    in `always` have p_l = 1.

    p_l need not fall with depth. No layer has less than theta, so theta > 0 keeps every p_l > 0.
    """

    always: Always = None

    @abstractmethod
    def fractions(self, layers: int) -> NDArray[np.float64]:
        """Returns f_l for l = 1 .. layers, each in [0, 1], before `always` is applied: float64 (layers,)."""

    def keep(self, theta: NDArray[np.float64], layers: int) -> NDArray[np.float64]:
        """Maps theta (...,) to keep probabilities (..., layers)."""
        return 1.0 - self._open(layers) * (1.0 - theta[..., None])

    def misfits(self, layers: int) -> list[Reason]:
        """Returns the reasons why this family does not fit a model of `layers` layers, each with its path below
        `depth`. The list is empty when it fits.
        """
        return [
            Reason(("always", index), f"there is no layer {layer} in a model of {layers} layers")
            for index, layer in enumerate(self.always or ())
            if isinstance(layer, int) and layer > layers
        ]

    def least(self, theta: float) -> float:
        """Returns a lower bound of all keep probabilities, for any number of layers, when theta is at least `theta`."""
        return theta

    def _open(self, layers: int) -> NDArray[np.float64]:
        """Returns f_l with 0 for the layers that are never dropped."""
        fractions = self.fractions(layers)
        for layer in self.always or ():
            fractions[{"first": 0, "last": layers - 1}[layer] if isinstance(layer, str) else layer - 1] = 0.0
        return fractions
