from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.data import tokenize_text
from pld_search.data.tokenize_text import TextEncoder, sentences
from pld_search.data.wordpiece import WordPiece

TEXTS = st.lists(st.text(alphabet=st.sampled_from("ab Z.,\n\t\r\u3000é中\x1c\u0301-'[]"), max_size=30), max_size=8)


@settings(max_examples=200)
@given(TEXTS)
def test_chunks_give_what_the_tokenizer_gives(letters: WordPiece, texts: list[str]) -> None:
    ids, lengths = TextEncoder(letters).encode(texts)
    expected = [letters.encoder.encode(text, add_special_tokens=False).ids for text in texts]
    assert lengths.tolist() == [len(one) for one in expected]
    assert ids.tolist() == [index for one in expected for index in one]


def test_chunks_are_forgotten_when_there_are_too_many(letters: WordPiece, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenize_text, "_MOST_CHUNKS", 3)
    encoder = TextEncoder(letters)
    texts = ["a b c d e f", "b c x y", "a z"]
    apart = [encoder.encode([text])[0].tolist() for text in texts]
    assert apart == [letters.encoder.encode(text, add_special_tokens=False).ids for text in texts]


def test_sentences_are_parted_and_nothing_is_lost() -> None:
    text = 'One two. Three "four?" Five 3.5 six! 7 eight\nnine e.g. ten. "Eleven." (Twelve)'
    assert list(sentences(text)) == [
        "One two. ",
        'Three "four?" ',
        "Five 3.5 six! ",
        "7 eight\n",
        "nine e.g. ten. ",
        '"Eleven." ',
        "(Twelve)",
    ]


@given(st.text())
def test_sentences_join_to_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text
