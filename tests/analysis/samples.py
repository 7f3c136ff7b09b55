"""Held-out sequences of random tokens, as an objective would give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.data.masking import IGNORED, Ids
from pld_search.pretraining.mlm import MaskedLM


@dataclass(frozen=True)
class Tokens:
    """N sequences; `real` is how many positions of each are no padding."""

    input_ids: Ids
    positions: Ids
    labels: Ids
    mask: Ids | None = None

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, part: slice) -> Tokens:
        mask = None if self.mask is None else self.mask[part]
        return Tokens(self.input_ids[part], self.positions[part], self.labels[part], mask)

    @property
    def arrays(self) -> dict[str, Ids]:
        found = {"input_ids": self.input_ids, "positions": self.positions, "labels": self.labels}
        return found if self.mask is None else {**found, "attention_mask": self.mask}

    @property
    def counts(self) -> tuple[int, ...]:
        return (int(np.count_nonzero(self.labels != IGNORED)),)


def tokens(sequences: int = 6, length: int = 12, *, masked: bool = False) -> Tokens:
    rng = np.random.default_rng(3)
    ids = rng.integers(4, 101, (sequences, length))
    positions = np.sort(rng.permuted(np.tile(np.arange(length), (sequences, 1)), axis=1)[:, :3], axis=1)
    labels = np.take_along_axis(ids, positions, 1)
    labels[1, 0] = IGNORED  # parts then have targets of different numbers
    mask = (np.arange(length) < rng.integers(length // 2, length, sequences)[:, None]).astype(np.int64)
    return Tokens(ids, positions, labels, mask if masked else None)


def sample(chunk: Tokens | None = None, part: int | None = 4) -> HeldOutSample:
    return HeldOutSample.of(MaskedLM(), [chunk or tokens()], torch.device("cpu"), part)
