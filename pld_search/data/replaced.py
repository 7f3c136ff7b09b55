"""The input of ELECTRA: masked text, and for each masked position a hash word that decides its replacement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pld_search.data.batches import HELD_OUT_SEED, Batches, held_out_indices
from pld_search.data.masking import Ids, Masked
from pld_search.schedules.hash_words import words


@dataclass(frozen=True, slots=True)
class MaskedWithWords:
    """A masked batch and `words` (N, K), int64 in 0 .. 2^32 - 1."""

    masked: Masked
    words: Ids

    def __getitem__(self, part: slice) -> MaskedWithWords:
        """Returns the sequences of `part`."""
        return MaskedWithWords(self.masked[part], self.words[part])

    def __len__(self) -> int:
        return len(self.masked)

    @property
    def arrays(self) -> dict[str, Ids]:
        """The inputs of a model, by name."""
        return {**self.masked.arrays, "words": self.words}

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of predicted positions and of all positions."""
        return self.masked.predicted, self.masked.input_ids.size


class BatchesWithWords:
    """The batches of masked language modelling; each sequence also has its own hash words."""

    def __init__(self, batches: Batches, seed: int) -> None:
        self._batches, self._seed = batches, seed

    def at(self, step: int, own: Ids | None = None) -> MaskedWithWords:
        """Returns the global batch of a step, or only its sequences `own` (N,)."""
        numbers = np.arange(self._batches.size(step)) if own is None else own
        return _with_words(self._batches.at(step, own), self._seed, "replace", step, numbers)

    def counts(self, step: int) -> tuple[int, ...]:
        """Returns the numbers of predicted positions and of all positions of the whole global batch."""
        return self._batches.predicted(step), self._batches.size(step) * self._batches.rows(step).length


def held_out_with_words(
    chunks: Iterator[Masked], split: str, available: int, sequences: int
) -> Iterator[MaskedWithWords]:
    """Yields the chunks of a held-out split, `sequences` of `available` rows, with words by a constant key."""
    rows, start = held_out_indices(available, sequences), 0
    for masked in chunks:
        numbers = rows[start : start + len(masked)] & 0xFFFFFFFF
        yield _with_words(masked, HELD_OUT_SEED, f"replace:{split}", 0, numbers)
        start += len(masked)


def _with_words(masked: Masked, seed: int, purpose: str, step: int, numbers: Ids) -> MaskedWithWords:
    drawn = words(seed, purpose, step, numbers, count=masked.positions.shape[1])
    return MaskedWithWords(masked, drawn.astype(np.int64))
