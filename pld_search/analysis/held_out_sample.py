"""The held-out sequences of an analysis, on the device of the model, and the loss of a network over them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples, MicroBatch
from pld_search.pretraining.objective import PretrainingObjective


@dataclass(frozen=True, slots=True)
class HeldOutSample:
    """Held-out sequences in parts of one forward pass each. A part's share of a term of the loss is the share of its
    targets in all parts, so that the losses of parts add up to the loss over the sample.
    """

    objective: PretrainingObjective
    parts: tuple[MicroBatch, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, objective: PretrainingObjective, chunks: Iterable[Examples], device: torch.device, part: int | None = None
    ) -> Self:
        """Returns the sequences of `chunks` in parts of at most `part` sequences (None: each chunk is a part)."""
        cut = [piece for chunk in chunks for piece in _pieces(chunk, part) if any(piece.counts)]
        totals = [max(1, sum(numbers)) for numbers in zip(*(piece.counts for piece in cut), strict=True)]
        parts = tuple(
            MicroBatch(
                {name: torch.from_numpy(array).to(device) for name, array in piece.arrays.items()},
                tuple(count / total for count, total in zip(piece.counts, totals, strict=True)),
            )
            for piece in cut
        )
        return cls(objective, parts, tuple(piece.counts for piece in cut))

    @property
    def sequences(self) -> int:
        """The number of sequences."""
        return sum(len(part.input_ids) for part in self.parts)

    @torch.no_grad()
    def loss(self, model: LayeredModel) -> float:
        """Returns the loss of the whole objective over the sample, as validation computes it; NaN without a target."""
        sums: list[Tensor] = [
            self.objective.held_out_sums(model, part.tensors, counts)
            for part, counts in zip(self.parts, self.counts, strict=True)
        ]
        if not sums:
            return math.nan
        return self.objective.held_out_metrics(torch.stack(sums).sum(0).tolist())["loss"]


def _pieces(chunk: Examples, part: int | None) -> list[Examples]:
    if part is None or part >= len(chunk):
        return [chunk]
    return [chunk[start : start + part] for start in range(0, len(chunk), part)]
