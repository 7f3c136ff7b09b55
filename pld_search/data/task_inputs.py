"""Labelled texts as model inputs: [CLS] a [SEP] or [CLS] a [SEP] b [SEP], cut to a length and padded to the longest of
a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.data.tasks import Example
from pld_search.data.wordpiece import WordPiece

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch: ids, attention mask (1 for a token) and token types (1 in the second text), int64 (N, L);
    labels float64 (N,), NaN for an example without one."""

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids
    labels: NDArray[np.float64]


class Encoded:
    """Examples as token ids, padded only in a batch. `length` is the longest input, special tokens included."""

    def __init__(self, tokenizer: WordPiece, examples: Sequence[Example], length: int) -> None:
        self._pad = tokenizer.specials.pad
        cls, sep = tokenizer.specials.cls, tokenizer.specials.sep
        first = _ids(tokenizer, [example.text_a for example in examples])
        second = _ids(tokenizer, [example.text_b or "" for example in examples])
        self._rows: list[list[int]] = []
        self._first_lengths: list[int] = []
        for example, a, b in zip(examples, first, second, strict=True):
            pair = example.text_b is not None
            a, b = _cut(a, b, length - (3 if pair else 2))
            self._rows.append([cls, *a, sep, *b, sep] if pair else [cls, *a, sep])
            self._first_lengths.append(len(a) + 2)
        self.labels = np.array(
            [np.nan if example.label is None else example.label for example in examples], dtype=np.float64
        )

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> Ids:
        """The tokens of every input, special ones included, int64 (N,)."""
        return np.array([len(row) for row in self._rows], dtype=np.int64)

    def batch(self, indices: ArrayLike) -> Inputs:
        """Returns the examples of `indices` (N,), padded to the longest of them."""
        asked = np.asarray(indices, dtype=np.int64)
        rows = [self._rows[index] for index in asked]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.full((len(rows), int(lengths.max())), self._pad, dtype=np.int64)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        place = np.arange(ids.shape[1])
        present = place < lengths[:, None]
        firsts = np.array([self._first_lengths[index] for index in asked], dtype=np.int64)
        types = present & (place >= firsts[:, None])
        return Inputs(ids, present.astype(np.int64), types.astype(np.int64), self.labels[asked])


def _ids(tokenizer: WordPiece, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encoder.encode_batch_fast(texts, add_special_tokens=False)]


def _cut(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """Cuts both texts to `room` tokens, from the end of the longer one first, as BERT does."""
    keep_b = min(len(b), max(room - len(a), room // 2))
    return a[: room - keep_b], b[:keep_b]
