"""A synthetic corpus for timing: a vocabulary of any size whose words follow Zipf's law, prepared like any other
corpus.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pld_search.data import build_corpus, content_cache
from pld_search.data.packed_corpus import Corpus
from pld_search.data.splits import TEST as TEST_SPLIT
from pld_search.data.splits import TRAIN, VALIDATION
from pld_search.data.spool import Spool
from pld_search.data.wordpiece import SPECIAL_TOKENS, WordPiece

_DOCUMENTS, _WORDS_OF_ONE = 64, 4096
_SEED = 0


def synthetic_corpus(cache: Path, vocabulary: int) -> Corpus:
    """Returns a corpus of about 260,000 tokens over `vocabulary` pieces; it is made once and kept in the cache."""

    def build(folder: Path) -> str:
        with Spool(folder) as spool:
            spool.read("text", lambda skip: ([text] for text in _texts(words)[skip:]))
            split = np.full(len(spool), TRAIN, dtype=np.uint8)
            split[:2] = VALIDATION, TEST_SPLIT
            return build_corpus.build(folder, spool, split, WordPiece((*SPECIAL_TOKENS, *words)), lambda _: None)

    words = [_word(index) for index in range(vocabulary - len(SPECIAL_TOKENS))]
    return Corpus(
        content_cache.obtain(
            cache.expanduser().absolute() / "corpora",
            ["benchmark", vocabulary, _DOCUMENTS, _WORDS_OF_ONE, _SEED],
            build,
        )
    )


def _word(index: int) -> str:
    """Returns a word of letters only: BERT's pre-tokenizer does not split it."""
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def _texts(words: list[str]) -> list[str]:
    rng = np.random.default_rng(_SEED)
    shares = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(len(words), size=(_DOCUMENTS, _WORDS_OF_ONE), p=shares / shares.sum())
    return [" ".join(words[index] for index in document) for document in drawn]
