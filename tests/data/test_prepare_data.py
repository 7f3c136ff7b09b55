from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pld_search.data import content_cache, spool, token_files
from pld_search.data.packed_corpus import Corpus
from pld_search.data.prepare_data import prepare
from pld_search.errors import DataError
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import DataTemplate, EvaluationTemplate
from tests.data.conftest import SHARED, paragraph, tiny_data

CHILD = """
import os, signal, sys
from pathlib import Path
from pld_search.data import build_corpus, content_cache
from pld_search.data.prepare_data import prepare
from pld_search.specs.template import EvaluationTemplate
sys.path.insert(0, sys.argv[1])
from tests.data.conftest import tiny_data

folder, cache, fatal = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(line):
    print(line, flush=True)
    if fatal and fatal in line:
        die()

if fatal in ("write_manifest", "_publish"):
    setattr(content_cache, fatal, die)
if fatal == "file_digest":
    build_corpus.file_digest = die
if fatal == "index":
    write = content_cache.write_atomically
    content_cache.write_atomically = lambda path, text: die() if path.parent.name == "index" else write(path, text)
print(prepare(tiny_data(folder), EvaluationTemplate(), cache, places={}, base=folder, progress=progress).corpus.corpus)
"""


def child(texts: Path, cache: Path, fatal: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[2]), str(texts), str(cache), fatal]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "RAYON_NUM_THREADS": "1"})


def prepared(data: DataTemplate, cache: Path, **more: object) -> Prepared:
    return prepare(data, EvaluationTemplate(), cache, base=cache.parent, **{"places": {}, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fatal", ["reading", "training", "of validation", "write_manifest", "file_digest", "_publish", "index"]
)
def test_a_killed_prepare_leaves_nothing_that_is_taken_for_whole(texts: Path, tmp_path: Path, fatal: str) -> None:
    killed = child(texts, tmp_path / "cache", fatal)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    root = tmp_path / "cache" / "corpora"
    whole = [folder for folder in root.iterdir() if len(folder.name) == 64]
    assert len(whole) == (fatal == "index")  # a build that is whole, but not yet known to be this input's
    assert all(content_cache.is_whole(folder) for folder in whole)
    assert not (root / "index").exists() or not list((root / "index").glob("*.json"))
    again = prepared(tiny_data(texts), tmp_path / "cache").corpus
    assert again.corpus == prepared(tiny_data(texts), tmp_path / "other").corpus.corpus
    assert not list(root.glob("building-*"))
    assert Corpus(again.folder).digest == again.corpus


def test_two_processes_at_once_make_one_build(texts: Path, tmp_path: Path) -> None:
    pair = [child(texts, tmp_path / "cache") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert outputs[0][-1] == outputs[1][-1]
    assert sum("training" in line for output in outputs for line in output) == 1


def test_the_same_texts_elsewhere_have_the_same_digests(texts: Path, tmp_path: Path) -> None:
    first = prepared(tiny_data(texts), tmp_path / "cache").corpus
    moved = texts.rename(tmp_path / "moved")
    second = prepared(tiny_data(moved), tmp_path / "deep" / "other").corpus
    assert first.folder != second.folder
    assert (first.corpus, first.tokenizer, first.statistics) == (second.corpus, second.tokenizer, second.statistics)


def test_a_second_prepare_reads_nothing(texts: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    first = prepared(tiny_data(texts), tmp_path / "cache", progress=lines.append)
    assert lines
    lines.clear()
    assert prepared(tiny_data(texts), tmp_path / "cache", progress=lines.append) == first
    assert lines == []


def test_every_written_key_decides_the_corpus(texts: Path, tmp_path: Path) -> None:
    (texts / "c.txt").write_text("One line.\nAnother line.\n")
    changes: list[dict[str, object]] = [
        {},
        {"validation": 0.2},
        {"test": 0.2},
        {"document": "line"},
        {
            "document": "file",
            "train": {"text": [str(texts / "c.txt")]},
            "validation": {"text": [str(texts / "a.txt")]},
            "test": {"text": [str(texts / "b.txt")]},
        },
        {"tokenizer": {"train": "wordpiece", "vocabulary": 100}},
        {"train": {"text": [str(texts / "a.txt")]}},
    ]
    digests = {prepared(tiny_data(texts, **change), tmp_path / "cache").corpus.corpus for change in changes}
    assert len(digests) == len(changes)
    (texts / "a.txt").write_text((texts / "a.txt").read_text() + "\n\nAnother paragraph.\n")
    assert prepared(tiny_data(texts), tmp_path / "cache").corpus.corpus not in digests


def test_the_size_of_blocks_does_not(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(tiny_data(texts), tmp_path / "cache").corpus
    monkeypatch.setattr(token_files, "_BLOCK_CHARACTERS", 50)
    monkeypatch.setattr(spool, "_BLOCK", 7)
    second = prepared(tiny_data(texts), tmp_path / "other").corpus
    assert (second.corpus, second.statistics) == (first.corpus, first.statistics)


def test_length_and_masking_do_not(texts: Path, tmp_path: Path) -> None:
    first = prepared(tiny_data(texts), tmp_path / "cache")
    assert prepared(tiny_data(texts, length=32, masking={"rate": 0.3}), tmp_path / "cache") == first


def test_validation_and_test_from_files_of_their_own(texts: Path, tmp_path: Path) -> None:
    for name, seeds in (("valid", (100, 101)), ("test", (102,))):
        (tmp_path / f"{name}.text").write_text("\n\n".join(paragraph(seed) for seed in seeds))
    data = tiny_data(texts, validation={"text": ["valid.text"]}, test={"text": ["./test.text"]}, document="file")
    corpus = Corpus(prepared(data, tmp_path / "cache").corpus.folder)
    assert corpus.statistics["documents"] == {"train": 2, "validation": 1, "test": 1}
    words = corpus.tokenizer.encoder.encode(paragraph(102), add_special_tokens=False).ids
    assert corpus.split("test", 8).stream.tolist() == [*words, corpus.specials.sep]


def test_the_tokenizer_sees_training_documents_only(texts: Path, tmp_path: Path) -> None:
    for name in ("validation", "test"):
        (tmp_path / f"{name}.text").write_text(f"§ zyzzyva zyzzyva {name}\n")
    data = tiny_data(texts, validation={"text": ["validation.text"]}, test={"text": ["test.text"]})
    corpus = Corpus(prepared(data, tmp_path / "cache").corpus.folder)
    assert "§" not in corpus.tokenizer.ids
    assert corpus.specials.unk in corpus.split("test", 2).stream


@pytest.mark.parametrize("place", ["./tokenizer", "./tokenizer/vocab.txt", "mine/vocab.txt", "mine"])
def test_a_given_tokenizer(texts: Path, tmp_path: Path, place: str) -> None:
    trained = Corpus(prepared(tiny_data(texts), tmp_path / "cache").corpus.folder)
    (tmp_path / "tokenizer").mkdir()
    trained.tokenizer.save(tmp_path / "tokenizer")
    given = prepared(
        tiny_data(texts, tokenizer=place), tmp_path / "cache", places={"mine": str(tmp_path / "tokenizer")}
    ).corpus
    assert (given.corpus, given.tokenizer) == (trained.digest, trained.tokenizer_digest)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"text": ["nothing/*.txt"]}}, "no file matches"),
        ({"train": {"text": ["blank.txt"]}}, "the train text has no document with text"),
        ({"validation": {"text": ["blank.txt"]}}, "the validation text has no document with text"),
        ({"document": "file"}, "cannot be split by shares"),
        ({"tokenizer": "./nothing.txt"}, "no such tokenizer"),
    ],
)
def test_what_cannot_be_prepared(texts: Path, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    (tmp_path / "blank.txt").write_text(" \n\n")
    with pytest.raises(DataError, match=message):
        prepared(tiny_data(texts, **changes), tmp_path / "cache")


def test_a_large_vocabulary_needs_wider_tokens(texts: Path, tmp_path: Path) -> None:
    small = Corpus(prepared(tiny_data(texts), tmp_path / "cache").corpus.folder)
    pieces = [*small.tokenizer.vocabulary, *(f"piece{i}" for i in range(66_000))]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    large = Corpus(prepared(tiny_data(texts, tokenizer="./vocab.txt"), tmp_path / "cache").corpus.folder)
    assert (small.manifest["dtype"], large.manifest["dtype"]) == ("<u2", "<u4")
    assert np.array_equal(small.split("train", 16).rows([0, 5]), large.split("train", 16).rows([0, 5]))


def test_the_demo_corpus(demo: Prepared) -> None:
    statistics = demo.corpus.statistics
    assert demo.corpus.vocabulary == statistics["vocabulary"] == 1024
    assert statistics["documents"] == {"train": 199, "validation": 25, "test": 25}
    assert statistics["tokens"] == {"train": 2946094, "validation": 370592, "test": 485283}
    assert statistics["unigram_entropy"] == pytest.approx(5.989, abs=0.001)
    assert sorted(demo.folders.values()) == sorted([demo.corpus.folder, *(task.folder for task in demo.tasks)])


@pytest.mark.skipif(not SHARED.is_dir(), reason="no local copy of WikiText-2")
def test_wikitext_with_berts_vocabulary(tmp_path: Path) -> None:
    written = {
        "train": {"text": ["wikitext-2/wiki.valid.tokens"]},
        "validation": {"text": ["wikitext-2/wiki.test.tokens"]},
        "test": 0.05,
        "document": "line",
        "tokenizer": "bert/vocab.txt",
        "length": 128,
    }
    places = {"wikitext-2": str(SHARED / "wikitext-2"), "bert": str(SHARED / "bert-base-uncased")}
    corpus = prepared(DataTemplate.model_validate(written), tmp_path / "cache", places=places).corpus
    assert corpus.vocabulary == 30_522
    assert corpus.statistics["documents"]["validation"] == 2891
    assert 6 < corpus.statistics["unigram_entropy"] < 8


GOES_ON = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pld_search.data import spool, token_files
from pld_search.data.build_progress import BuildProgress
from pld_search.data.prepare_data import prepare
from pld_search.specs.template import EvaluationTemplate
from tests.data.conftest import tiny_data

spool._MARK_EVERY, token_files._MARK_EVERY, token_files._BLOCK_CHARACTERS = 500, 100, 200
left, write = int(sys.argv[4]), BuildProgress.write

def dying(mark, content):
    global left
    write(mark, content)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

BuildProgress.write = dying
folder = Path(sys.argv[2])
lines = []
print(prepare(tiny_data(folder), EvaluationTemplate(), Path(sys.argv[3]), places={}, base=folder, progress=lines.append).corpus.corpus)
print(sum("training" in line for line in lines))
"""


def test_a_prepare_killed_again_and_again_goes_on_and_ends_with_the_same_corpus(texts: Path, tmp_path: Path) -> None:
    """Each process dies after it has written six more marks: started afresh each time, none would ever end."""
    expected = prepared(tiny_data(texts), tmp_path / "other").corpus.corpus
    died = 0
    for _ in range(60):
        command = [
            sys.executable,
            "-c",
            GOES_ON,
            str(Path(__file__).parents[2]),
            str(texts),
            str(tmp_path / "cache"),
            "6",
        ]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "RAYON_NUM_THREADS": "1"}
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        died += 1
    digest, last = done.stdout.split()
    assert digest == expected
    assert died >= 2
    assert int(last) == 0  # a tokenizer was trained by one that died
