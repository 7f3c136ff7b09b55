"""Which sequences a step reads, and how they are masked: pure functions of the step, so that a resume needs
no state.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pld_search.data.masking import Ids, Masked, WordsOf, count_predicted, mask
from pld_search.data.packed_corpus import Corpus, PackedSplit
from pld_search.data.shuffle import order
from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.experiment import Batch, Data

HELD_OUT_SEED = 0  # held-out masks are the same for every run: they are keyed by a constant


class Batches:
    """The global batches of a run of `total` steps. Sequence i of a step is number q = n + i of an endless stream of
    epochs, with n the sequences of all steps before it.

    Where the length has stages, each has its own packing of the same text, and its own stream: it begins with q = 0 at
    the first step of its stage, in orders of its own. What an earlier stage has read may so be read again. Where the
    batch has stages, the stream goes on.
    """

    def __init__(self, corpus: Corpus, data: Data, batch: Batch, seed: int, total: int) -> None:
        self._corpus, self._data, self._seed = corpus, data, seed
        self._lengths, self._rates, self._sizes = data.lengths_at(total), data.rates_at(total), batch.sizes_at(total)
        self._stages: list[PackedSplit] = [corpus.split("train", length) for length in self._lengths.sizes]

    def at(self, step: int, own: Ids | None = None) -> Masked:
        """The global batch of a step, (sequences, length), of which groups are consecutive equal slices; or the
        sequences `own` (N,) of it.

        What a sequence shows depends on its number in the batch, not on which others are asked for.
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
        """`Masked.counts` of the whole global batch of a step."""
        return (self.predicted(step),)

    def predicted(self, step: int) -> int:
        """How many positions the whole global batch of a step predicts: its rows are read, none is masked."""
        rows = self.rows(step)
        return count_predicted(
            rows.rows(self.indices(step)), self._predictions(step, rows.length), self._corpus.specials
        )

    def _predictions(self, step: int, length: int) -> int:
        return self._data.with_rate(self._rates.at(step)).predictions(length)

    def size(self, step: int) -> int:
        """Sequences of the global batch of a step."""
        return self._sizes.before(step)

    def rows(self, step: int) -> PackedSplit:
        """The train split as a step reads it: packed to the length it has."""
        return self._stages[self._lengths.number(step)]

    def indices(self, step: int) -> Ids:
        """The rows of the train split that a step reads, int64 (sequences,); each epoch has its own order."""
        return stream_indices(self._seed, step, self._sizes, len(self.rows(step)), self._lengths)


def stream_indices(seed: int, step: int, sizes: StagesAt, n: int, lengths: StagesAt) -> Ids:
    """What step `step` of a run reads of the `n` rows that its stage of length has, in batches of `sizes`: int64
    (sequences,); each epoch has its own order.
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
    """At most `sequences` of the validation split in chunks, masked by constant keys: the same for every run
    and step.
    """
    return _held_out(corpus, data, "validation", sequences, chunk)


def test(corpus: Corpus, data: Data, sequences: int, *, chunk: int = 64) -> Iterator[Masked]:
    """At most `sequences` of the test split in chunks, masked by constant keys."""
    return _held_out(corpus, data, "test", sequences, chunk)


test.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever pytest's naming says


def held_out_indices(available: int, wanted: int) -> NDArray[np.int64]:
    """`wanted` of `available` rows, evenly spaced: a split is in document order, and its start is a document or two."""
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
