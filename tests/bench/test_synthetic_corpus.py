from __future__ import annotations

from pathlib import Path

import numpy as np

from pld_search.bench.synthetic_corpus import synthetic_corpus


def test_words_follow_zipfs_law_and_all_are_known(tmp_path: Path) -> None:
    corpus = synthetic_corpus(tmp_path, 1024)
    assert corpus.vocabulary == 1024
    ids = corpus.split("train", 128).rows(np.arange(1000))
    counts = np.bincount(ids[:, 1:].ravel(), minlength=1024)
    assert counts[corpus.specials.unk] == 0
    first, tenth = counts[5], counts[14]
    assert 7 < first / tenth < 13
    assert synthetic_corpus(tmp_path, 1024).folder == corpus.folder
