from __future__ import annotations

import numpy as np
import pytest

from pld_search.data.task_inputs import Encoded
from pld_search.data.tasks import Example
from pld_search.data.wordpiece import WordPiece


def pieces(tokenizer: WordPiece, ids: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    return [tokenizer.vocabulary[index] for index in ids]


def test_single_texts_and_pairs_are_framed_typed_and_padded(letters: WordPiece) -> None:
    encoded = Encoded(letters, [Example("ab", None, 1), Example("A", "b c", 0), Example("[SEP]", "", None)], 20)
    batch = encoded.batch([1, 0])
    assert pieces(letters, batch.input_ids[0]) == ["[CLS]", "a", "[SEP]", "b", "c", "[SEP]"]
    assert pieces(letters, batch.input_ids[1]) == ["[CLS]", "a", "##b", "[SEP]", "[PAD]", "[PAD]"]
    assert batch.attention_mask.tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]
    assert batch.labels.tolist() == [0, 1]
    last = encoded.batch([2])
    assert pieces(letters, last.input_ids[0]) == ["[CLS]", "[", "s", "##e", "##p", "]", "[SEP]", "[SEP]"]
    assert np.isnan(last.labels).all()
    assert encoded.lengths.tolist() == [4, 6, 8]
    assert len(encoded) == 3


@pytest.mark.parametrize(
    ("a", "b", "length", "kept"),
    [
        (9, None, 8, (6, 0)),
        (9, 2, 9, (4, 2)),
        (2, 9, 9, (2, 4)),
        (9, 9, 9, (3, 3)),
        (9, 9, 10, (4, 3)),
        (3, 3, 9, (3, 3)),
        (0, 9, 9, (0, 6)),
    ],
)
def test_the_longer_text_is_cut_first(
    letters: WordPiece, a: int, b: int | None, length: int, kept: tuple[int, int]
) -> None:
    example = Example("a " * a, None if b is None else "b " * b, 0)
    ids = Encoded(letters, [example], length).batch([0]).input_ids[0]
    shown = pieces(letters, ids)
    assert (shown.count("a"), shown.count("b")) == kept
    assert len(shown) <= length
    assert shown[0] == "[CLS]"
    assert shown[-1] == "[SEP]"
