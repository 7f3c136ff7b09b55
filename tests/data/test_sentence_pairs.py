"""Pairs as BERT builds them, from a small corpus: what they hold, where they come from, and that a step decides them
alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.data.masking import IGNORED
from pld_search.data.packed_corpus import Corpus
from pld_search.data.sentence_pairs import MaskedPairs, PairBatches, PairBlocks, PairSplit, _shortened, held_out_pairs
from pld_search.errors import DataError
from pld_search.schedules.hash_words import words
from pld_search.specs.experiment import Batch, Data

LENGTH = 24


def data_of(corpus: Corpus, length: int = LENGTH) -> Data:
    return Data(corpus=corpus.digest, tokenizer=corpus.tokenizer_digest, length=length)


def many(corpus: Corpus, sequences: int = 512, length: int = LENGTH) -> MaskedPairs:
    return PairBatches(corpus, data_of(corpus, length), Batch(sequences=sequences), seed=3, total=100).at(5)


def raw(corpus: Corpus, length: int = LENGTH) -> tuple[PairSplit, tuple[Any, ...]]:
    """Every chunk once, unmasked."""
    split = PairSplit(corpus, "train", length)
    return split, split.pairs(np.arange(len(split)), words(1, "pair", 0, np.arange(len(split)), count=6))


def test_a_pair_has_its_special_tokens_types_and_padding(tiny: Corpus) -> None:
    _, (rows, types, seen, _) = raw(tiny)
    special, sizes = tiny.specials, seen.sum(axis=1)
    assert (rows[:, 0] == special.cls).all() and ((rows == special.sep).sum(axis=1) == 2).all()
    assert np.array_equal(rows == special.pad, seen == 0)
    for row, kinds, size in zip(rows, types, sizes, strict=True):
        first, last = np.flatnonzero(row == special.sep)
        assert last == size - 1 and 2 <= first < last - 1
        assert kinds.tolist() == [0] * (first + 1) + [1] * (last - first) + [0] * (LENGTH - size)
    assert sizes.max() == LENGTH and sizes.min() < LENGTH


def test_b_follows_a_or_is_of_another_document(tiny: Corpus) -> None:
    stream, documents = tiny.split("train", LENGTH).stream, tiny.document_starts("train").astype(int)
    texts = [stream[a : b - 1].tolist() for a, b in zip(documents[:-1] - documents[0], documents[1:] - documents[0])]  # noqa: B905 - one shorter
    split, (rows, types, seen, labels) = raw(tiny)
    for index, (row, kinds, mask, other) in enumerate(zip(rows, types, seen, labels, strict=True)):
        own = texts[split._document[split._chunks[index, 0]]]
        first = [int(token) for token, kind in zip(row, kinds, strict=True) if not kind][1:]
        first = first[: first.index(tiny.specials.sep)]
        second = [int(token) for token, kind, real in zip(row, kinds, mask, strict=True) if kind and real][:-1]
        assert contains(own, first)
        assert any(contains(text, second) for text in texts)
        if not other and len(first) + len(second) < LENGTH - 3:  # nothing was cut: B goes on where A ends
            assert contains(own, first + second)
    assert 0.45 < labels.mean() < 0.75  # a chunk of one sentence has nothing to follow


def test_losses_of_pairs_are_of_the_documents_of_their_tokens(tiny: Corpus) -> None:
    """A token is of the document whose text it stands in; the pair as a whole (position 0) is of A's."""
    bounds = tiny.document_starts("train").astype(int) - int(tiny.document_starts("train")[0])
    stream = tiny.split("train", LENGTH).stream
    split, (rows, types, seen, _) = raw(tiny)
    numbers = np.arange(len(split))
    drawn, places = words(1, "pair", 0, numbers, count=6), np.tile(np.arange(LENGTH), (len(split), 1))
    found = split.documents_at(numbers, drawn, places)
    others = 0
    for number, (row, kinds, mask, documents) in enumerate(zip(rows, types, seen, found, strict=True)):
        own = split._document[split._chunks[number, 0]]
        assert documents[0] == documents[1] == own
        second = np.flatnonzero((kinds == 1) & (mask == 1))[:-1]
        (of_b,) = set(documents[second])
        text = stream[bounds[of_b] : bounds[of_b + 1]].tolist()
        assert contains(text, row[second].tolist())
        others += of_b != own
    assert 0 < others < len(split)


def test_blocks_of_held_out_pairs(tiny: Corpus) -> None:
    data, sequences = data_of(tiny), 40
    blocks = PairBlocks(tiny, data, "validation", sequences, seed=0)
    chunks = list(held_out_pairs(tiny, data, "validation", sequences, seed=0, chunk=16))
    places = [chunk.masked.positions for chunk in chunks]
    found = np.concatenate([blocks.at(16 * number, place) for number, place in enumerate(places)])
    whole = blocks.at(0, np.concatenate(places))
    assert np.array_equal(found, whole)
    assert set(whole.ravel()) <= set(range(blocks.blocks)) and 1 < blocks.blocks <= blocks.documents
    few = PairBlocks(tiny, data, "validation", sequences, seed=0, most=2)
    assert (few.blocks, few.documents) == (2, blocks.documents)
    assert set(few.at(0, np.concatenate(places)).ravel()) == {0, 1}


def contains(text: list[int], part: list[int]) -> bool:
    return any(text[start : start + len(part)] == part for start in range(len(text) - len(part) + 1))


def test_chunks_are_every_sentence_once(tiny: Corpus) -> None:
    split, _ = raw(tiny)
    chunks = split._chunks
    assert chunks[0, 0] == 0 and chunks[-1, 1] == len(split._starts)
    assert np.array_equal(chunks[1:, 0], chunks[:-1, 1])
    assert (split._document[chunks[:, 0]] == split._document[chunks[:, 1] - 1]).all()
    sizes = split._ends[chunks[:, 1] - 1] - split._starts[chunks[:, 0]]
    full = sizes >= LENGTH - 3
    ends_document = np.isin(chunks[:, 1], split._after)
    assert (full | ends_document).all() and full.any() and (~full).any()


def test_masks_are_a_share_of_each_pair(tiny: Corpus) -> None:
    pairs = many(tiny)
    predicted = (pairs.masked.labels != IGNORED).sum(axis=1)
    expected = np.maximum(1, np.floor(0.15 * pairs.attention_mask.sum(axis=1) + 0.5 + 1e-9)).astype(int)
    assert np.array_equal(predicted, expected) and len(set(predicted.tolist())) > 1
    assert pairs.counts == (predicted.sum(), 512)
    kinds = np.take_along_axis(pairs.attention_mask, pairs.masked.positions, axis=1)
    assert kinds[pairs.masked.labels != IGNORED].all()


def test_a_step_is_a_pure_function_of_seed_and_step_and_a_part_is_as_in_the_whole(tiny: Corpus) -> None:
    def batches(seed: int) -> PairBatches:
        return PairBatches(tiny, data_of(tiny), Batch(sequences=8, groups=2), seed, 100)

    own = np.array([6, 2, 3])
    whole, part = batches(3).at(19), batches(3).at(19, own)
    for name, array in whole.arrays.items():
        assert np.array_equal(array[own], part.arrays[name])
    assert batches(3).counts(19) == whole.counts
    assert not np.array_equal(whole.arrays["input_ids"], batches(4).at(19).arrays["input_ids"])
    assert not np.array_equal(whole.arrays["input_ids"], batches(3).at(20).arrays["input_ids"])


def test_held_out_pairs_are_the_same_however_they_are_read(tiny: Corpus) -> None:
    read = [
        np.concatenate(
            [part.arrays["input_ids"] for part in held_out_pairs(tiny, data_of(tiny), "validation", 9, 0, n)]
        )
        for n in (4, 9)
    ]
    assert np.array_equal(*read) and len(read[0]) > 4


@given(st.integers(1, 80), st.integers(1, 80), st.integers(2, 60))
def test_shortening_is_what_dropping_tokens_one_by_one_gives(first: int, second: int, most: int) -> None:
    one, two = first, second
    while one + two > most:
        one, two = (one - 1, two) if one > two else (one, two - 1)
    found = _shortened(np.array([first]), np.array([second]), most)
    assert [int(size[0]) for size in found] == [one, two]


def test_a_split_of_one_document_is_refused(tiny: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = tiny.document_starts("train")
    monkeypatch.setattr(tiny, "document_starts", lambda _: starts[[0, -1]], raising=False)
    with pytest.raises(DataError, match="the train split has 1 document with text: next-sentence"):
        PairSplit(tiny, "train", LENGTH)
