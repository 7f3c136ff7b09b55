"""Pairs for next-sentence prediction as BERT builds them: [CLS] A [SEP] B [SEP]. B is the text after A, or text from
another document.

The method follows Google's `create_pretraining_data.py` (github.com/google-research/bert,
`create_instances_from_document`). A chunk is a run of sentences of one document that fills a sequence. A is the first
of them, at least one. B is the rest of the chunk or, with probability 1/2 and always if the chunk is one sentence, text
of another document from a random sentence on. Pairs that are too long are cut, the longer part first. Three things
differ, so that a batch is a pure function of the step. Chunks are the same in every epoch (text after an A with a
random B is not read in that epoch). No sequences are short on purpose. The number of tokens cut off at the front is
uniform over all possibilities; the rest is cut off at the back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pld_search.data.batches import held_out_indices, stream_indices
from pld_search.data.held_out_documents import BLOCKS
from pld_search.data.masking import Ids, Masked, WordsOf, mask
from pld_search.data.packed_corpus import Corpus
from pld_search.errors import DataError
from pld_search.schedules.hash_words import words
from pld_search.schedules.units import exact, round_half_up
from pld_search.specs.experiment import Batch, Data

_SPECIALS = 3  # [CLS] and two [SEP]
_HALF = 1 << 31
_WORDS = 6


@dataclass(frozen=True, slots=True)
class MaskedPairs:
    """Masked pairs, all int64: `token_types` and `attention_mask` (N, L), `next_labels` (N,): 1 if B is from another
    document.
    """

    masked: Masked
    token_types: Ids
    attention_mask: Ids
    next_labels: Ids

    def __getitem__(self, part: slice) -> MaskedPairs:
        """Returns the sequences of `part`."""
        return MaskedPairs(self.masked[part], self.token_types[part], self.attention_mask[part], self.next_labels[part])

    def __len__(self) -> int:
        return len(self.masked)

    @property
    def arrays(self) -> dict[str, Ids]:
        """The inputs of a model, by name."""
        more = {"token_type_ids": self.token_types, "attention_mask": self.attention_mask}
        return {**self.masked.arrays, **more, "next_labels": self.next_labels}

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of predicted positions and of pairs."""
        return self.masked.predicted, len(self)


class _Segment(NamedTuple):
    """The place of a part of a pair in the stream of its split: first token and number of tokens, int64 (N,) each."""

    start: Ids
    size: Ids


class PairSplit:
    """The chunks of a split for pairs of at most `length` positions. Raises DataError if it has fewer than two
    documents with text.
    """

    def __init__(self, corpus: Corpus, name: str, length: int) -> None:
        self.length, self._specials = length, corpus.specials
        self._stream = corpus.split(name, length).stream
        offset = int(corpus.manifest["splits"][name]["tokens"][0])
        documents = corpus.document_starts(name).astype(np.int64) - offset
        self._bounds = documents[:-1]
        last = documents[1:] - 1  # [SEP] ends a document
        starts = np.unique(corpus.sentence_starts(name).astype(np.int64) - offset)
        document = np.searchsorted(documents, starts, side="right") - 1
        real = starts < last[document]
        self._starts, self._document = starts[real], document[real]
        self._ends = np.minimum(np.append(self._starts[1:], len(self._stream)), last[self._document])
        # for every document with a sentence: its first sentence, and the one after its last
        _, self._first, self._document = np.unique(self._document, return_index=True, return_inverse=True)
        self._after = np.append(self._first[1:], len(self._starts))
        if len(self._first) < 2:
            raise DataError(
                f"the {name} split has {len(self._first)} document with text: next-sentence prediction draws from "
                "another document; hold out more documents, or cut the text into smaller ones (`document:`)"
            )
        self._chunks = self._cut(length - _SPECIALS)

    def __len__(self) -> int:
        return len(self._chunks)

    def _cut(self, most: int) -> NDArray[np.int64]:
        """Returns [first sentence, sentence after the last] of every chunk, in the order of the split: (chunks, 2)."""
        after = np.minimum(self._reaching(self._starts + most), self._after[self._document])
        begins, found = self._first, []
        while len(begins):  # the next chunk of every document at once
            found.append(np.stack([begins, after[begins]], axis=1))
            begins = after[begins]
            begins = begins[begins < self._after[self._document[found[-1][:, 0]]]]
        chunks = np.concatenate(found)
        return chunks[np.argsort(chunks[:, 0])]

    def _reaching(self, token: Ids) -> Ids:
        """Returns the index after the first sentence that ends at `token` or later."""
        return np.searchsorted(self._ends, token, side="left") + 1

    def pairs(self, indices: Ids, drawn: NDArray[np.uint32]) -> tuple[Ids, Ids, Ids, Ids]:
        """Returns (token ids, token types, attention mask, labels of the next sentence) of chunks `indices` (N,), by
        the words `drawn` (N, 6).
        """
        first, second, random = self._segments(indices, drawn)
        return (*self._rows(first, second), random.astype(np.int64))

    def documents_at(self, indices: Ids, drawn: NDArray[np.uint32], positions: Ids) -> Ids:
        """Returns the number, in the split, of the document at each of `positions` (N, K) of the same pairs, int64
        (N, K). Position 0 (the pair as a whole) and what is below count as A's first.
        """
        first, second, _ = self._segments(indices, drawn)
        in_second = positions >= first.size[:, None] + 2
        start = np.where(in_second, second.start[:, None], first.start[:, None])
        found: Ids = np.searchsorted(self._bounds, start, side="right") - 1
        return found

    def _segments(self, indices: Ids, drawn: NDArray[np.uint32]) -> tuple[_Segment, _Segment, NDArray[np.bool_]]:
        """A and B of each pair, and whether B is of another document."""
        most = self.length - _SPECIALS
        chunk, after = self._chunks[indices].T
        split_at = chunk + 1 + _below(drawn[:, 0], np.maximum(after - chunk - 1, 1))
        random = (after - chunk == 1) | (drawn[:, 1] < _HALF)
        first = _Segment(self._starts[chunk], self._ends[split_at - 1] - self._starts[chunk])
        following = np.minimum(split_at, len(self._starts) - 1)  # where there is none, B is random
        second = _Segment(self._starts[following], self._ends[after - 1] - self._starts[following])
        other = self._of_another_document(self._document[chunk], most - first.size, drawn)
        second = _Segment(np.where(random, other.start, second.start), np.where(random, other.size, second.size))
        sizes = _shortened(first.size, second.size, most)
        one, two = (
            _cut(segment, size, drawn[:, 4 + i])
            for i, (segment, size) in enumerate(zip((first, second), sizes, strict=True))
        )
        return one, two, random

    def _of_another_document(self, own: Ids, wanted: Ids, drawn: NDArray[np.uint32]) -> _Segment:
        """Returns text of another document from a random sentence on: whole sentences up to at least `wanted`
        tokens.
        """
        chosen = _below(drawn[:, 2], np.full(len(own), len(self._first) - 1))
        chosen += chosen >= own
        begin = self._first[chosen] + _below(drawn[:, 3], self._after[chosen] - self._first[chosen])
        after = np.minimum(self._reaching(self._starts[begin] + np.maximum(wanted, 1)), self._after[chosen])
        return _Segment(self._starts[begin], self._ends[after - 1] - self._starts[begin])

    def _rows(self, first: _Segment, second: _Segment) -> tuple[Ids, Ids, Ids]:
        """Returns both segments with the special tokens, padded to the length."""
        place = np.arange(self.length)[None, :]
        one, two = first.size[:, None], second.size[:, None]
        in_first, in_second = (place >= 1) & (place <= one), (place >= one + 2) & (place < one + two + 2)
        token = np.where(in_first, first.start[:, None] + place - 1, second.start[:, None] + place - one - 2)
        read = self._stream[np.where(in_first | in_second, token, 0)].astype(np.int64)
        end = one + two + 2
        rows = np.where(in_first | in_second, read, self._specials.pad)
        rows[:, 0] = self._specials.cls
        rows = np.where((place == one + 1) | (place == end), self._specials.sep, rows)
        return rows, ((place >= one + 2) & (place <= end)).astype(np.int64), (place <= end).astype(np.int64)


def _below(word: NDArray[np.uint32], bound: Ids) -> Ids:
    """Maps each 32-bit word to a whole number in 0 .. bound - 1."""
    return (word.astype(np.uint64) * bound.astype(np.uint64) >> np.uint64(32)).astype(np.int64)


def _shortened(first: Ids, second: Ids, most: int) -> tuple[Ids, Ids]:
    """Returns both sizes after tokens of the longer one (of B if they are equal) are dropped until `most` are left.

    >>> _shortened(np.array([10, 3, 5]), np.array([2, 9, 5]), 9)
    (array([7, 3, 5]), array([2, 6, 4]))
    """
    over = first + second > most
    one = np.where(over, np.minimum(first, np.maximum(most - second, -(-most // 2))), first)
    return one, np.where(over, np.minimum(second, most - one), second)


def _cut(segment: _Segment, size: Ids, word: NDArray[np.uint32]) -> _Segment:
    """Returns the segment cut to `size` tokens; the others are dropped at its front and its back."""
    return _Segment(segment.start + _below(word, segment.size - size + 1), size)


class PairBatches:
    """The global batches of a run of `total` steps. `Batches` explains the streams, which are the same here."""

    def __init__(self, corpus: Corpus, data: Data, batch: Batch, seed: int, total: int) -> None:
        self._data, self._seed, self._corpus = data, seed, corpus
        self._lengths, self._rates, self._sizes = data.lengths_at(total), data.rates_at(total), batch.sizes_at(total)
        self._stages = [PairSplit(corpus, "train", length) for length in self._lengths.sizes]

    def at(self, step: int, own: Ids | None = None) -> MaskedPairs:
        """Returns the global batch of a step, or only its sequences `own` (N,); each is keyed by its number in the
        batch.
        """
        numbers = np.arange(self._sizes.before(step)) if own is None else own
        split = self._stages[self._lengths.number(step)]
        indices = stream_indices(self._seed, step, self._sizes, len(split), self._lengths)
        data = self._data.with_rate(self._rates.at(step))
        return _masked(self._corpus, data, split, indices[numbers], numbers, (self._seed, "", step))

    def counts(self, step: int) -> tuple[int, ...]:
        """Returns the numbers of predicted positions and of pairs of the whole global batch."""
        return self.at(step).counts


def held_out_pairs(
    corpus: Corpus, data: Data, name: str, sequences: int, seed: int, chunk: int
) -> Iterator[MaskedPairs]:
    """Yields at most `sequences` pairs of a split in chunks of `chunk`, evenly spaced, drawn and masked by `seed`."""
    split = PairSplit(corpus, name, data.final_length)
    indices = held_out_indices(len(split), sequences)
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        yield _masked(corpus, data, split, part, part & 0xFFFFFFFF, (seed, f":{name}", 0))


class PairBlocks:
    """The documents of `held_out_pairs`, `documents` of them in `blocks` blocks of about as many consecutive ones each.

    A predicted token is of its own document, and the label of a pair of A's: B may be of another one.
    """

    def __init__(self, corpus: Corpus, data: Data, name: str, sequences: int, seed: int, most: int = BLOCKS) -> None:
        self._split, self._seed, self._name = PairSplit(corpus, name, data.final_length), seed, name
        self._indices = held_out_indices(len(self._split), sequences)
        touched = np.unique(self._at(0, np.tile([1, self._split.length - 1], (len(self._indices), 1))))
        self.documents = len(touched)
        self.blocks = min(self.documents, most)
        self._block_of = np.zeros(int(touched.max()) + 1, dtype=np.int64)
        self._block_of[touched] = np.arange(self.documents) * self.blocks // self.documents

    def at(self, first: int, positions: Ids) -> Ids:
        """Returns the block of each of `positions` (N, K) of the pairs from number `first` on, int64 (N, K)."""
        found: Ids = self._block_of[self._at(first, positions)]
        return found

    def _at(self, first: int, positions: Ids) -> Ids:
        part = self._indices[first : first + len(positions)]
        return self._split.documents_at(part, _drawn(self._seed, self._name, part), positions)


def _drawn(seed: int, name: str, indices: Ids) -> NDArray[np.uint32]:
    """The words that draw held-out pairs: those of `_masked`."""
    return words(seed, f"pair:{name}", 0, indices & 0xFFFFFFFF, count=_WORDS)


def _masked(
    corpus: Corpus, data: Data, split: PairSplit, indices: Ids, numbers: Ids, key: tuple[int, str, int]
) -> MaskedPairs:
    seed, suffix, step = key
    rows, types, seen, labels = split.pairs(indices, words(seed, f"pair{suffix}", step, numbers, count=_WORDS))
    masked = mask(
        rows,
        numbers,
        WordsOf(seed, f"mask{suffix}", step),
        predictions=data.predictions(split.length),
        specials=corpus.specials,
        vocabulary=corpus.vocabulary,
        most=_predictions(data, seen.sum(axis=1)),
    )
    return MaskedPairs(masked, types, seen, labels)


def _predictions(data: Data, lengths: Ids) -> Ids:
    """Returns the numbers of predicted positions for pairs of these lengths: the same share of each, at least one."""
    found, inverse = np.unique(lengths, return_inverse=True)
    rate = exact(data.masking.rates[-1])
    return np.array([max(1, round_half_up(rate * int(length))) for length in found], dtype=np.int64)[inverse]
