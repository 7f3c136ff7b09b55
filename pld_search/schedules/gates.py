"""What a plan says about one group at one step, as small frozen values: the arguments of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pld_search.schedules.conventions import Where


@dataclass(frozen=True, slots=True)
class Gates:
    """Whole layers (`per: group`, `unit: layer`): `keep[l]`, `scale[l]` for layer l + 1, and where the scale goes.

    scale is 1/p of a kept layer, exactly 1.0 where p = 1, for a dropped layer and for `where="none"`. (`rescale:
    deepspeed` divides by another layer's p, so there a layer with p = 1 has a scale above 1.)
    """

    keep: tuple[bool, ...]
    scale: tuple[float, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class RowGates:
    """Rows of a group's batch (`per: sequence`): layer l + 1 runs for the rows `rows[l]` alone, the others pass it by.

    rows: for each layer the kept sequences of the group, 0 .. sequences - 1 in the group's order, ascending, never
    empty. In every stratum (`strata` consecutive sequences) a layer keeps equally many, so a micro-batch of whole
    strata starting at sequence s has the rows r with s <= r < s + size, equally many in each micro-batch and rank.
    scale: 1/p_l, for every kept row of layer l + 1; 1.0 for `where="none"`. where: as in Gates.
    """

    rows: tuple[tuple[int, ...], ...]
    scale: tuple[float, ...]
    where: Where


Part = TypeVar("Part", Gates, RowGates)


@dataclass(frozen=True, slots=True)
class SublayerGates(Generic[Part]):
    """Attention and feed-forward on their own (`unit: sublayer`): independent draws with the same p_l.

    A sublayer that is not kept is the identity, its LayerNorm included: with norm `pre` x = x, with `post` the norm is
    not applied either. where is "sublayer" or "none" in both halves.
    """

    attention: Part
    feed_forward: Part


AnyGates = Gates | RowGates | SublayerGates[Gates] | SublayerGates[RowGates]
