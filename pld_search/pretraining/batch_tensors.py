"""A global batch divided into groups, ranks and micro-batches, as tensors for the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pld_search.data.masking import Ids
from pld_search.schedules.plan import AnyGates

GroupedBatch = tuple[tuple["MicroBatch", ...], ...]
"""Micro-batches, indexed by [group][micro-batch]."""


class Examples(Protocol):
    """N sequences of an objective as numpy arrays. Each array of `arrays` has N rows, including `input_ids` (N, L)."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Examples:
        """Returns the sequences of `part`."""

    @property
    def arrays(self) -> dict[str, Ids]:
        """The inputs of a model, by name."""

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of targets of each term of the loss."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The input of one forward pass: tensors of n rows by name, and for each term of the loss its share of the global
    batch's targets.

    `first` is the number of its first sequence in its group. `second` are the gates of a second network; with None it
    runs whole.
    """

    tensors: Mapping[str, Tensor]
    shares: tuple[float, ...]
    first: int = 0
    second: AnyGates | None = None

    @property
    def input_ids(self) -> Tensor:
        """Token ids (n, L)."""
        return self.tensors["input_ids"]

    @property
    def empty(self) -> bool:
        """Whether it has no target at all, so that it adds nothing to the loss."""
        return not any(self.shares)

    def to(self, device: torch.device) -> MicroBatch:
        """Returns the micro-batch on a device; a pinned one is copied asynchronously."""
        if device.type == "cpu":
            return self
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return replace(self, tensors=moved)


def own_numbers(sequences: int, groups: int, rank: int, ranks: int) -> Ids:
    """Returns the sequences of the global batch that a rank trains, int64: its equal slice of every group, so that all
    ranks work on one group at a time.
    """
    of_group = sequences // groups
    size = of_group // ranks
    return (np.arange(groups)[:, None] * of_group + rank * size + np.arange(size)).ravel()


def cut(
    own: Examples, groups: int, micro_batch: int | None, *, totals: tuple[int, ...], pin: bool, begins: int = 0
) -> GroupedBatch:
    """Divides a rank's own sequences into `groups` equal slices, one for each group. The first sequence of a slice is
    number `begins` in its group.

    A slice is divided into micro-batches of `micro_batch` sequences (the last may be smaller).

    Each term of a step's loss is the mean over its targets on all ranks, `totals` of them: the sum over micro-batches
    of share x (mean over the micro-batch's own targets).
    """
    size = len(own) // groups
    micro = min(micro_batch or size, size)
    return tuple(
        tuple(
            _micro_batch(own[start + first : start + min(first + micro, size)], totals, begins + first, pin)
            for first in range(0, size, micro)
        )
        for start in range(0, groups * size, size)
    )


def _micro_batch(examples: Examples, totals: tuple[int, ...], first: int, pin: bool) -> MicroBatch:
    shares = tuple(count / max(total, 1) for count, total in zip(examples.counts, totals, strict=True))
    return MicroBatch({name: _tensor(values, pin) for name, values in examples.arrays.items()}, shares, first)


def _tensor(values: Ids, pin: bool) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory() if pin else tensor
