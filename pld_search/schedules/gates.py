"""The gates of one group at one step, as small frozen values: the arguments of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pld_search.schedules.conventions import Where


@dataclass(frozen=True, slots=True)
class Gates:
    """Gates of whole layers (`per: group`, `unit: layer`): `keep[l]` and `scale[l]` for layer l + 1.

    scale: 1/p of a kept layer; exactly 1.0 where p = 1, for a dropped layer and for `where="none"`. (`rescale:
    deepspeed` divides by another layer's p, so there a layer with p = 1 has a scale above 1.)
    where: what the scale multiplies.
    """

    keep: tuple[bool, ...]
    scale: tuple[float, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class RowGates:
    """Gates of rows of a group's batch (`per: sequence`): layer l + 1 runs only for the rows `rows[l]`.

    rows: for each layer the kept sequences of the group, 0 .. sequences - 1 in the group's order, ascending, never
    empty. A layer keeps equally many sequences in every stratum (`strata` consecutive sequences). So a micro-batch of
    whole strata starting at sequence s has the rows r with s <= r < s + size, equally many in each micro-batch and
    rank.
    scale: 1/p_l, for every kept row of layer l + 1; 1.0 for `where="none"`.
    where: as in Gates.
    """

    rows: tuple[tuple[int, ...], ...]
    scale: tuple[float, ...]
    where: Where


Part = TypeVar("Part", Gates, RowGates)


@dataclass(frozen=True, slots=True)
class SublayerGates(Generic[Part]):
    """Separate gates of attention and feed-forward (`unit: sublayer`): independent draws with the same p_l.

    A sublayer that is not kept is the identity, its LayerNorm included: with norm `pre` x = x; with `post` the norm is
    not applied either. `where` is "sublayer" or "none" in both halves.
    """

    attention: Part
    feed_forward: Part


AnyGates = Gates | RowGates | SublayerGates[Gates] | SublayerGates[RowGates]
