"""A global batch cut into groups, ranks and micro-batches, as tensors ready for the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pld_search.data.masking import IGNORED, Masked

GroupedBatch = tuple[tuple["MicroBatch", ...], ...]
"""[group][micro-batch]"""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one forward pass reads: ids (n, L), positions and labels (n, K), its share of the global batch's predictions.

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
        input_ids, positions, labels = (tensor.to(device, non_blocking=True) for tensor in (self.input_ids, self.positions, self.labels))
        return MicroBatch(input_ids, positions, labels, self.share, self.first)


def cut(masked: Masked, groups: int, micro_batch: int | None, *, pin: bool, rank: int = 0, ranks: int = 1) -> GroupedBatch:
    """Group g is the g-th of `groups` equal slices, and each rank reads its equal slice of every group: all work on one group at once.

    A slice is cut into micro-batches of `micro_batch` sequences (the last may be smaller).

    The loss of a step is the mean over all its predictions: the sum of `share` x (mean over the micro-batch's own).
    """
    of_group = len(masked) // groups
    size = of_group // ranks
    micro = min(micro_batch or size, size)
    total = int(np.count_nonzero(masked.labels != IGNORED))
    parts = range(rank * size, (rank + 1) * size, micro)  # by their first sequences in the group
    return tuple(
        tuple(_micro_batch(masked[start + first : start + min(first + micro, (rank + 1) * size)], total, first, pin) for first in parts)
        for start in range(0, groups * of_group, of_group)
    )


def _micro_batch(masked: Masked, total: int, first: int, pin: bool) -> MicroBatch:
    share = np.count_nonzero(masked.labels != IGNORED) / max(total, 1)
    return MicroBatch(_tensor(masked.input_ids, pin), _tensor(masked.positions, pin), _tensor(masked.labels, pin), share, first)


def _tensor(values: NDArray[np.int64], pin: bool) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory() if pin else tensor
