from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pld_search.data import content_cache
from pld_search.data.build_corpus import entropy
from pld_search.data.packed_corpus import Corpus
from pld_search.data.splits import SPLITS
from pld_search.errors import DataError
from tests.data.conftest import paragraph


def streams(corpus: Corpus) -> dict[str, list[int]]:
    """Every split's tokens, read without the class under test."""
    tokens = np.fromfile(corpus.folder / "tokens.bin", dtype="<u2").tolist()
    return {name: tokens[slice(*corpus.manifest["splits"][name]["tokens"])] for name in SPLITS}


def test_the_splits_hold_every_document_once(tiny: Corpus) -> None:
    encode = tiny.tokenizer.encoder.encode
    wanted = sorted([*encode(paragraph(seed), add_special_tokens=False).ids, tiny.specials.sep] for seed in range(60))
    found = []
    for name, stream in streams(tiny).items():
        start = tiny.manifest["splits"][name]["tokens"][0]
        bounds = (tiny.document_starts(name).astype(int) - start).tolist()
        assert bounds[0] == 0
        assert bounds[-1] == len(stream)
        found += [stream[a:b] for a, b in pairwise(bounds)]
    assert sorted(found) == wanted


def test_splits_share_no_document(tiny: Corpus) -> None:
    parts = {
        name: set(" ".join(map(str, stream)).split(f" {tiny.specials.sep}")) - {""}
        for name, stream in streams(tiny).items()
    }
    assert [len(parts[name]) for name in SPLITS] == [54, 3, 3]
    assert not (
        parts["train"] & parts["validation"] or parts["train"] & parts["test"] or parts["validation"] & parts["test"]
    )


def test_sentences_start_where_they_should(tiny: Corpus) -> None:
    tokens = np.fromfile(tiny.folder / "tokens.bin", dtype="<u2")
    ends = {tiny.tokenizer.ids[mark] for mark in ".!?"}
    count = 0
    for name in SPLITS:
        starts, documents = tiny.sentence_starts(name).astype(int), set(tiny.document_starts(name).tolist())
        assert (np.diff(starts) > 0).all()
        for start in starts.tolist():
            assert start in documents or tokens[start - 1] in ends
            count += 1
        assert set(starts.tolist()) >= documents - {tiny.manifest["splits"][name]["tokens"][1]}
    assert count == sum(tiny.statistics["sentences"].values()) > 150


@pytest.mark.parametrize("length", [8, 16, 33])
def test_rows_are_cls_and_consecutive_parts_of_the_stream(tiny: Corpus, length: int) -> None:
    for name, stream in streams(tiny).items():
        split = tiny.split(name, length)
        assert len(split) == len(stream) // (length - 1) > 0
        rows = split.rows(np.arange(len(split))[::-1])[::-1]
        assert rows.dtype == np.int64
        assert (rows[:, 0] == tiny.specials.cls).all()
        assert rows[:, 1:].ravel().tolist() == stream[: len(split) * (length - 1)]


def test_a_split_too_short_for_a_sequence_is_refused(tiny: Corpus) -> None:
    with pytest.raises(DataError, match=r"the validation split has \d+ tokens: too few for one sequence of 5000"):
        tiny.split("validation", 5000)


def test_statistics_are_counted(tiny: Corpus) -> None:
    statistics, parts = tiny.statistics, streams(tiny)
    assert statistics["documents"] == {"train": 54, "validation": 3, "test": 3}
    assert statistics["tokens"] == {name: len(stream) for name, stream in parts.items()}
    assert sum(statistics["bytes"].values()) == sum(len(paragraph(seed)) + 1 for seed in range(60))  # a line end each
    counts = np.bincount(parts["train"], minlength=tiny.vocabulary)
    counts[list(tiny.specials)] = 0
    shares = counts[counts > 0] / counts.sum()
    assert statistics["unigram_entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert statistics["vocabulary"] == tiny.vocabulary == len(tiny.tokenizer.vocabulary)


def test_entropy_of_known_distributions() -> None:
    assert entropy(np.array([0, 5, 5, 5, 5])) == pytest.approx(np.log(4))
    assert str(entropy(np.array([0, 7]))) == "0.0"
    assert entropy(np.zeros(3, dtype=np.int64)) == 0


def test_the_digest_is_of_the_content(tiny: Corpus, tmp_path: Path) -> None:
    assert tiny.folder.name == tiny.digest.removeprefix("sha256:")
    moved = Corpus(shutil.copytree(tiny.folder, tmp_path / "elsewhere"))
    assert (moved.digest, moved.tokenizer_digest) == (tiny.digest, tiny.tokenizer_digest)
    assert moved.tokenizer.digest == tiny.tokenizer_digest


@pytest.mark.parametrize("name", ["tokens.bin", "documents.bin", "sentences.bin", "vocab.txt", "tokenizer.json"])
def test_a_file_cut_short_is_noticed(tiny: Corpus, name: str) -> None:
    (tiny.folder / name).write_bytes((tiny.folder / name).read_bytes()[:-1])
    with pytest.raises(DataError, match="missing or cut short"):
        Corpus(tiny.folder)


def test_a_folder_that_is_no_corpus_is_refused(tiny: Corpus, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no readable manifest.json"):
        Corpus(tmp_path / "nothing")
    manifest = content_cache.read_manifest(tiny.folder)
    (tiny.folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DataError, match="format 99; this version reads format 1"):
        Corpus(tiny.folder)
