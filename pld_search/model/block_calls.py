"""Converts gates to the calls of a forward pass: for each layer the parts of its block that run, their rows and their
scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pld_search.schedules.plan import AnyGates, Gates, RowGates, SublayerGates

Part = Literal["both", "attention", "feed_forward"]
Where = Literal["sublayer", "block", "none"]


@dataclass(frozen=True, slots=True)
class Call:
    """`part` of a block runs for `rows` of the batch (None: all), with its residual multiplied by `scale`; `where` as
    in Gates.
    """

    part: Part = "both"
    rows: tuple[int, ...] | None = None
    scale: float = 1.0
    where: Where = "none"


def calls(gates: AnyGates, layers: int) -> list[list[Call]]:
    """Returns the calls of layer 1, 2, ... in order; a dropped layer has none. Raises ValueError for gates of another
    depth.
    """
    if isinstance(gates, SublayerGates):
        halves = _of_part(gates.attention, "attention", layers), _of_part(gates.feed_forward, "feed_forward", layers)
        return [first + second for first, second in zip(*halves, strict=True)]
    return _of_part(gates, "both", layers)


def _of_part(gates: Gates | RowGates, part: Part, layers: int) -> list[list[Call]]:
    kept = [None if keep else () for keep in gates.keep] if isinstance(gates, Gates) else gates.rows
    if len(kept) != layers:
        raise ValueError(f"{len(kept)} gates for {layers} blocks")
    return [
        [] if rows == () else [Call(part, rows, scale, gates.where)]
        for rows, scale in zip(kept, gates.scale, strict=True)
    ]
