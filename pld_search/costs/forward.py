"""The shapes of one forward pass, from which its memory is computed."""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.specs.experiment import Model

BYTES_OF_FLOAT = 4


@dataclass(frozen=True, slots=True)
class Forward:
    """One forward pass: its shapes, whether it computes in halves, and whether it runs on CUDA."""

    model: Model
    sequences: int
    length: int
    predictions: int
    half: bool
    cuda: bool

    @property
    def tokens(self) -> int:
        """The positions of all sequences."""
        return self.sequences * self.length

    @property
    def width(self) -> int:
        """The bytes of a number in matrix products."""
        return 2 if self.half else BYTES_OF_FLOAT
