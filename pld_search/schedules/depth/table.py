"""Depth profile from a table: one number for each layer, or one for each kind of layer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pld_search.errors import Reason, Refused
from pld_search.schedules.depth.family import DepthFamily
from pld_search.schedules.units import Share

_EVERY = "layer 1 and every so manieth after it are the model's global layers: `attention.global_every`"


class DepthTable(DepthFamily):
    """p_l = q_l + (1 - q_l) theta, with q_l from the table; p_l = 1 for layers in `always`. This is 1 - f_l (1 - theta)
    with f_l = 1 - q_l.

    Args:
        values: q_1 .. q_L, one share for each layer: the keep probability of layer l when theta is 0. A model with
            another number of layers is refused.
        global, local, global_every: the alternative to `values`: q of the layers that attend to all positions and q of
            the layers that attend to their neighbours, in a model whose `attention` has this `global_every`. They fit
            any number of layers.

    >>> DepthTable(values=(1.0, 0.5, 0.0)).keep(np.array([1.0, 0.5, 0.0]), 3)
    array([[1.  , 1.  , 1.  ],
           [1.  , 0.75, 0.5 ],
           [1.  , 0.5 , 0.  ]])
    >>> DepthTable(**{"global": 1.0, "local": 0.5, "global_every": 3}).keep(np.array(0.5), 5)
    array([1.  , 0.75, 0.75, 1.  , 0.75])

    Source: none; for profiles without a formula in the library, for instance from measured importances.
    """

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["table"] = "table"
    values: Annotated[
        tuple[Share, ...] | None,
        Field(min_length=1, description="q_l for l = 1 .. L: the keep probability of layer l when theta is 0"),
    ] = None
    global_: Annotated[
        Share | None, Field(alias="global", description="instead of values: q of layers that see all positions")
    ] = None
    local: Annotated[Share | None, Field(description="beside global: q of layers that see their neighbours")] = None
    global_every: Annotated[int | None, Field(ge=1, description=f"beside global: {_EVERY}")] = None

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        kinds = {"global": self.global_, "local": self.local, "global_every": self.global_every}
        stated = [key for key, value in kinds.items() if value is not None]
        if self.values is None and len(stated) < len(kinds):
            missing = " and ".join(f"`{key}`" for key in kinds if key not in stated)
            why = f"a table has `values`, or all of `global`, `local` and `global_every` ({_EVERY})"
            raise Refused([((stated[0] if stated else "values",), f"{why}; {missing} missing" if stated else why)])
        if self.values is not None and stated:
            raise Refused(
                [((key,), "stands beside `values`, which already has a number for each layer") for key in stated]
            )
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        names = {"global_": "global"}
        return {names.get(key, key): value for key, value in dump(self).items() if value is not None}

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """Returns 1 - q_l of each layer: float64 (layers,), so that theta = 0 keeps layer l with probability q_l."""
        if self.values is not None:  # `misfits` has refused every other number of layers
            return 1.0 - np.array(self.values)
        assert self.global_ is not None and self.local is not None and self.global_every is not None
        sees_all = np.arange(layers) % self.global_every == 0
        return 1.0 - np.where(sees_all, self.global_, self.local)

    def least(self, theta: float) -> float:
        """Returns the smallest keep probability of the table's layers at this theta."""
        values = self.values or tuple(value for value in (self.global_, self.local) if value is not None)
        return min(value + (1.0 - value) * theta for value in values)

    def misfits(self, layers: int) -> list[Reason]:
        """Refuses a model with another number of layers than `values` has, besides the reasons of every family."""
        own: list[Reason] = []
        if self.values is not None and len(self.values) != layers:
            own.append(Reason(("values",), f"a table of {len(self.values)} layers, for a model of {layers} layers"))
        return own + super().misfits(layers)
