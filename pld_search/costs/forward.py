"""The shapes of one forward pass, from which its memory follows."""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.specs.experiment import Model

BYTES_OF_FLOAT = 4


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward pass is of: its shapes, and what it computes in and on."""

    model: Model
    sequences: int
    length: int
    predictions: int
    half: bool
    cuda: bool

    @property
    def tokens(self) -> int:
        """Positions of all sequences."""
        return self.sequences * self.length

    @property
    def width(self) -> int:
        """Bytes of a number in matrix products."""
        return 2 if self.half else BYTES_OF_FLOAT
