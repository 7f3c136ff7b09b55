"""Maps held-out sequences to blocks of consecutive documents; final losses are stored by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pld_search.data.batches import held_out_indices
from pld_search.data.masking import Ids
from pld_search.data.packed_corpus import Corpus
from pld_search.specs.experiment import Data

BLOCKS = 512


class Blocks(Protocol):
    """The documents that held-out sequences touch, `documents` of them in `blocks` blocks of consecutive ones."""

    @property
    def documents(self) -> int:
        """The number of documents."""

    @property
    def blocks(self) -> int:
        """The number of blocks, at most the number of documents."""

    def at(self, first: int, positions: Ids) -> Ids:
        """Returns the block of each of `positions` (N, K) of the sequences from number `first` on, int64 (N, K)."""


@dataclass(frozen=True, slots=True)
class DocumentBlocks:
    """The documents that the held-out sequences of a split touch: `documents` documents in `blocks` blocks of about
    equal numbers, in the order of the text.

    `rows` are the numbers of the sequences in the split, in reading order.
    """

    documents: int
    blocks: int
    rows: Ids
    _body: int
    _starts: NDArray[np.int64]
    _block_of: NDArray[np.int64]

    def at(self, first: int, positions: Ids) -> Ids:
        """Returns the block of each of `positions` (N, K) of the sequences from the `first`-th on, int64 (N, K).

        A position p is 1 .. length - 1 of its sequence. [CLS] at 0, which is never predicted, counts as position 1.
        """
        rows = self.rows[first : first + len(positions)]
        tokens = rows[:, None] * self._body + np.maximum(positions, 1) - 1
        found: Ids = self._block_of[np.searchsorted(self._starts, tokens, side="right") - 1]
        return found


def document_blocks(corpus: Corpus, data: Data, split: str, sequences: int, most: int = BLOCKS) -> DocumentBlocks:
    """Returns at most `most` blocks for at most `sequences` packed sequences of `validation` or `test`."""
    packed = corpus.split(split, data.final_length)
    body = packed.length - 1
    rows = held_out_indices(len(packed), sequences)
    bounds = corpus.document_starts(split).astype(np.int64)
    starts, ends = bounds[:-1] - bounds[0], bounds[1:] - bounds[0]
    # a document is touched where some sequence ends after its start and begins before its end
    begins = rows * body
    touched = np.searchsorted(begins, ends, side="left") > np.searchsorted(begins + body, starts, side="right")
    number = np.cumsum(touched) - 1
    documents = int(touched.sum())
    blocks = min(documents, most)
    return DocumentBlocks(documents, blocks, rows, body, starts, np.maximum(number, 0) * blocks // documents)


def summed(blocks: Blocks, losses: NDArray[Any], there: NDArray[np.bool_], at: Ids) -> NDArray[np.float64]:
    """Returns the sums of `losses` (N, K) and their numbers, where `there`, by the blocks `at` (N, K): (2, blocks)."""
    places = at[there]
    sums = np.bincount(places, weights=losses[there], minlength=blocks.blocks)
    counts = np.bincount(places, minlength=blocks.blocks)
    return np.stack([sums, counts.astype(np.float64)])
