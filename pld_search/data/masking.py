"""BERT masking as a pure function of hash words (Devlin et al., NAACL 2019, section 3.1).

A fixed number of positions of every sequence is predicted. Of these positions, 80 % show [MASK], 10 % a random token
and 10 % the token itself. Special tokens are never predicted and never drawn. The hash words of a sequence are keyed by
(seed, purpose, step, sequence), so a mask does not depend on the process, on earlier steps, or on how a batch is
divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.data.wordpiece import Specials
from pld_search.schedules.hash_words import words

Ids = NDArray[np.int64]
IGNORED = -100
_PLACE = np.uint64(0x7FFFFFFF)
# an action below the first number shows [MASK], below the second a random token, else the token itself
_SHOWN = (round(0.8 * 2**32), round(0.9 * 2**32))


@dataclass(frozen=True, slots=True)
class Masked:
    """A masked batch, all int64: `input_ids` (N, L), `positions` (N, K) ascending, `labels` (N, K) with IGNORED if a
    sequence has fewer than K ordinary tokens (its position is then 0)."""

    input_ids: Ids
    positions: Ids
    labels: Ids

    def __getitem__(self, part: slice) -> Masked:
        """Returns the sequences of `part`: a group, a rank's share or a micro-batch."""
        return Masked(self.input_ids[part], self.positions[part], self.labels[part])

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def arrays(self) -> dict[str, Ids]:
        """The inputs of a model, by name."""
        return {"input_ids": self.input_ids, "positions": self.positions, "labels": self.labels}

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of targets of each term of the loss: here one term, over the predicted positions."""
        return (self.predicted,)

    @property
    def predicted(self) -> int:
        """The number of predicted positions."""
        return int(np.count_nonzero(self.labels != IGNORED))


@lru_cache(maxsize=8)
def ordinary_ids(specials: Specials, vocabulary: int) -> Ids:
    """Returns every id of the vocabulary that is not special, ascending and read-only; random tokens are drawn from
    it.
    """
    ids = np.setdiff1d(np.arange(vocabulary, dtype=np.int64), np.asarray(specials, dtype=np.int64))
    ids.flags.writeable = False
    return ids


class WordsOf(NamedTuple):
    """The key of the hash words that mask a batch."""

    seed: int
    purpose: str
    step: int


def mask(
    rows: Ids,
    row_keys: ArrayLike,
    words_of: WordsOf,
    *,
    predictions: int,
    specials: Specials,
    vocabulary: int,
    most: Ids | None = None,
) -> Masked:
    """Masks `rows` (N, L), each by the words of (seed, purpose, step, its key); `row_keys` (N,) are in 0 .. 2^32 - 1.

    `most` (N,): the largest number of predicted positions for each row, if smaller than `predictions`.
    """
    length = rows.shape[1]
    chosen = min(predictions, length)
    drawn = words(*words_of, np.asarray(row_keys), count=length + 2 * chosen)
    positions, real = _positions(rows, drawn[:, :length], chosen, specials, most)
    labels = np.take_along_axis(rows, positions, axis=1)
    shown = _shown(
        labels,
        drawn[:, length : length + chosen],
        drawn[:, length + chosen :],
        specials.mask,
        ordinary_ids(specials, vocabulary),
    )
    masked = rows.copy()
    lines, places = np.nonzero(real)
    masked[lines, positions[lines, places]] = shown[lines, places]
    return Masked(masked, np.where(real, positions, 0), np.where(real, labels, IGNORED))


def count_predicted(rows: Ids, predictions: int, specials: Specials) -> int:
    """Returns how many positions of `rows` (N, L) `mask` would predict; the number does not depend on the words."""
    ordinary = rows.shape[1] - np.count_nonzero(_is_one_of(rows, specials), axis=1)
    return int(np.minimum(ordinary, predictions).sum())


def _positions(
    rows: Ids, drawn: NDArray[np.uint32], chosen: int, specials: Specials, most: Ids | None
) -> tuple[Ids, NDArray[np.bool_]]:
    """Returns the `chosen` positions with the smallest words, ordinary ones first, ascending (N, K), and which of them
    are predicted: the ordinary ones, at most the first `most` (N,) of a row by their words.
    """
    length = rows.shape[1]
    special = _is_one_of(rows, specials)
    place = np.arange(length, dtype=np.uint64)
    # no two ranks are equal
    ranks = (special.astype(np.uint64) << np.uint64(63)) | (drawn.astype(np.uint64) << np.uint64(31)) | place
    if chosen < length:
        ranks = np.partition(ranks, chosen - 1, axis=1)[:, :chosen]
    if most is not None:  # positions beyond it count as special
        ranks = np.sort(ranks, axis=1)
        beyond = np.arange(chosen) >= most[:, None]
        np.put_along_axis(special, (ranks & _PLACE).astype(np.int64), beyond | (ranks >> np.uint64(63) > 0), axis=1)
    places = np.sort((ranks & _PLACE).astype(np.int64), axis=1)
    return places, ~np.take_along_axis(special, places, axis=1)


def _is_one_of(rows: Ids, specials: Sequence[int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = rows == specials[0]
    for special in specials[1:]:
        found |= rows == special
    return found


def _shown(labels: Ids, action: NDArray[np.uint32], token: NDArray[np.uint32], mask_id: int, ordinary: Ids) -> Ids:
    random = ordinary[(token.astype(np.uint64) * np.uint64(len(ordinary)) >> np.uint64(32)).astype(np.int64)]
    return np.where(action < _SHOWN[0], mask_id, np.where(action < _SHOWN[1], random, labels))
