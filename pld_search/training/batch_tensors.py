"""A global batch cut into groups, ranks and micro-batches, as tensors ready for the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pld_search.data.masking import Ids, Masked
from pld_search.specs.experiment import Batch

GroupedBatch = tuple[tuple["MicroBatch", ...], ...]
"""[group][micro-batch]"""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one forward pass reads: ids (n, L), positions and labels (n, K), its share of the global batch's
    predictions.

    `first` is the number in its group of its first sequence.
    """

    input_ids: Tensor
    positions: Tensor
    labels: Tensor
    share: float
    first: int = 0

    def to(self, device: torch.device) -> MicroBatch:
        if device.type == "cpu":
            return self
        input_ids, positions, labels = (
            tensor.to(device, non_blocking=True) for tensor in (self.input_ids, self.positions, self.labels)
        )
        return MicroBatch(input_ids, positions, labels, self.share, self.first)


def own_numbers(batch: Batch, rank: int, ranks: int) -> Ids:
    """Which sequences of the global batch a rank trains: its equal slice of every group, so that all work on one group
    at once; int64.
    """
    size = batch.per_group // ranks
    return (np.arange(batch.groups)[:, None] * batch.per_group + rank * size + np.arange(size)).ravel()


def cut(own: Masked, groups: int, micro_batch: int | None, *, total: int, pin: bool, begins: int = 0) -> GroupedBatch:
    """Group g is the g-th of `groups` equal slices of a rank's own sequences, which are number `begins` and on in their
    group.

    A slice is cut into micro-batches of `micro_batch` sequences (the last may be smaller).

    The loss of a step is the mean over the `total` predictions of all ranks: the sum of `share` x (mean over the
    micro-batch's own).
    """
    size = len(own) // groups
    micro = min(micro_batch or size, size)
    return tuple(
        tuple(
            _micro_batch(own[start + first : start + min(first + micro, size)], total, begins + first, pin)
            for first in range(0, size, micro)
        )
        for start in range(0, groups * size, size)
    )


def _micro_batch(masked: Masked, total: int, first: int, pin: bool) -> MicroBatch:
    share = masked.predicted / max(total, 1)
    return MicroBatch(
        _tensor(masked.input_ids, pin), _tensor(masked.positions, pin), _tensor(masked.labels, pin), share, first
    )


def _tensor(values: Ids, pin: bool) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory() if pin else tensor
