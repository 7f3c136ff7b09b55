"""The sequences of a step and their masks, as pure functions of the step, so that a resume needs no state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pld_search.data.masking import Ids, Masked, WordsOf, count_predicted, mask
from pld_search.data.packed_corpus import Corpus, PackedSplit
from pld_search.data.shuffle import order
from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.experiment import Batch, Data

HELD_OUT_SEED = 0  # held-out masks are the same for every run, because their key is a constant


class Batches:
    """The global batches of a run of `total` steps. Sequence i of a step is number q = n + i of an endless stream of
    epochs, where n is the number of sequences of all earlier steps.

    If the length has stages, each stage has its own packing of the same text and its own stream. The stream starts with
    q = 0 at the first step of the stage, in its own orders. So a stage may read again what an earlier stage has read.
    If the batch size has stages, the stream continues.
    """

    def __init__(self, corpus: Corpus, data: Data, batch: Batch, seed: int, total: int) -> None:
        self._corpus, self._data, self._seed = corpus, data, seed
        self._lengths, self._rates, self._sizes = data.lengths_at(total), data.rates_at(total), batch.sizes_at(total)
        self._stages: list[PackedSplit] = [corpus.split("train", length) for length in self._lengths.sizes]

    def at(self, step: int, own: Ids | None = None) -> Masked:
        """Returns the global batch of a step, (sequences, length), whose groups are consecutive equal slices; or only
        its sequences `own` (N,).

        A masked sequence depends on its number in the batch, not on which other sequences are read.
        """
        numbers = np.arange(self.size(step)) if own is None else own
        rows = self.rows(step)
        return mask(
            rows.rows(self.indices(step)[numbers]),
            numbers,
            WordsOf(self._seed, "mask", step),
            predictions=self._predictions(step, rows.length),
            specials=self._corpus.specials,
            vocabulary=self._corpus.vocabulary,
        )

    def counts(self, step: int) -> tuple[int, ...]:
        """Returns `Masked.counts` of the whole global batch of a step."""
        return (self.predicted(step),)

    def predicted(self, step: int) -> int:
        """Returns how many positions the whole global batch of a step predicts, from its unmasked rows."""
        rows = self.rows(step)
        return count_predicted(
            rows.rows(self.indices(step)), self._predictions(step, rows.length), self._corpus.specials
        )

    def _predictions(self, step: int, length: int) -> int:
        return self._data.with_rate(self._rates.at(step)).predictions(length)

    def size(self, step: int) -> int:
        """Returns the number of sequences of the global batch of a step."""
        return self._sizes.before(step)

    def rows(self, step: int) -> PackedSplit:
        """Returns the train split, packed to the length of the step."""
        return self._stages[self._lengths.number(step)]

    def indices(self, step: int) -> Ids:
        """Returns the rows of the train split that a step reads, int64 (sequences,); each epoch has its own order."""
        return stream_indices(self._seed, step, self._sizes, len(self.rows(step)), self._lengths)


def stream_indices(seed: int, step: int, sizes: StagesAt, n: int, lengths: StagesAt) -> Ids:
    """Returns the rows that step `step` of a run reads, in batches of `sizes`, of the `n` rows that the packing of its
    length has: int64 (sequences,). Each epoch has its own order.
    """
    stage = lengths.number(step)
    count, begins = sizes.before(step), sizes.sum(step) - sizes.sum(lengths.begins[stage])
    stream = np.arange(begins, begins + count, dtype=np.int64)
    epochs, positions = stream // n, stream % n
    indices = np.empty(count, dtype=np.int64)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        here = epochs == epoch
        indices[here] = order(seed, epoch, positions[here], n, stage)
    return indices


def validation(corpus: Corpus, data: Data, sequences: int, *, chunk: int = 64) -> Iterator[Masked]:
    """Yields at most `sequences` of the validation split in chunks, masked by constant keys, so that they are equal for
    every run and step.
    """
    return _held_out(corpus, data, "validation", sequences, chunk)


def test(corpus: Corpus, data: Data, sequences: int, *, chunk: int = 64) -> Iterator[Masked]:
    """Yields at most `sequences` of the test split in chunks, masked by constant keys."""
    return _held_out(corpus, data, "test", sequences, chunk)


test.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test case


def held_out_indices(available: int, wanted: int) -> NDArray[np.int64]:
    """Returns `wanted` of `available` rows, evenly spaced. A split is in document order, so its start is only a
    document or two.
    """
    taken = min(available, wanted)
    return np.arange(taken, dtype=np.int64) * available // taken


def _held_out(corpus: Corpus, data: Data, name: str, sequences: int, chunk: int) -> Iterator[Masked]:
    rows = corpus.split(name, data.final_length)
    indices = held_out_indices(len(rows), sequences)
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        yield mask(
            rows.rows(part),
            part & 0xFFFFFFFF,
            WordsOf(HELD_OUT_SEED, f"mask:{name}", 0),
            predictions=data.predictions(rows.length),
            specials=corpus.specials,
            vocabulary=corpus.vocabulary,
        )
