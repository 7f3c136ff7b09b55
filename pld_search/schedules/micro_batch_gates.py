"""Cuts the gates of a group to a micro-batch, and counts how much of the network the gates let run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from pld_search.schedules.plan import AnyGates, Gates, RowGates, SublayerGates


class Executed(NamedTuple):
    """The number of sequences that passed through an attention and through a feed-forward, summed over layers (and over
    everything that is added up).
    """

    attention: int
    feed_forward: int


NOTHING = Executed(0, 0)


def of_micro_batch(gates: AnyGates, first: int, size: int) -> AnyGates:
    """Returns the gates of a group's sequences first .. first + size - 1, counted from 0. Only gates of rows differ
    between micro-batches; others are returned unchanged.
    """
    if isinstance(gates, RowGates):
        rows = tuple(tuple(row - first for row in layer if first <= row < first + size) for layer in gates.rows)
        return RowGates(rows, gates.scale, gates.where)
    if isinstance(gates, SublayerGates):
        halves = of_micro_batch(gates.attention, first, size), of_micro_batch(gates.feed_forward, first, size)
        return SublayerGates(*cast(tuple[Gates, Gates], halves))  # both halves have the same type
    return gates


def executed(gates: Iterable[AnyGates], sequences: int) -> Executed:
    """Counts the work of groups of `sequences` sequences each under their gates."""
    attention = feed_forward = 0
    for of_group in gates:
        first, second = (
            (of_group.attention, of_group.feed_forward) if isinstance(of_group, SublayerGates) else (of_group, of_group)
        )
        attention += _rows(first, sequences)
        feed_forward += _rows(second, sequences)
    return Executed(attention, feed_forward)


def _rows(gates: Gates | RowGates, sequences: int) -> int:
    return sum(gates.keep) * sequences if isinstance(gates, Gates) else sum(map(len, gates.rows))
