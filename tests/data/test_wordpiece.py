from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.data import wordpiece
from pld_search.data.wordpiece import SPECIAL_TOKENS, Alphabet, Specials, WordPiece
from pld_search.errors import DataError
from tests.data.conftest import SHARED, paragraph

TRAINING = """
import sys
from pld_search.data.wordpiece import Alphabet, train
sys.path.insert(0, sys.argv[1])
from tests.data.conftest import paragraph
texts = [paragraph(seed) for seed in range(40)]
alphabet = Alphabet()
for text in texts: alphabet.add(text)
print(train(texts, alphabet.kept(100), 120).digest)
"""


def test_a_trained_vocabulary_is_the_same_in_every_process() -> None:
    repository = str(Path(__file__).parents[2])
    runs = [
        subprocess.run([sys.executable, "-c", TRAINING, repository], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0].startswith("sha256:")
    assert runs[0] == runs[1]


def test_a_trained_vocabulary_starts_with_the_specials_and_keeps_its_size() -> None:
    texts = [paragraph(seed) for seed in range(40)]
    alphabet = Alphabet()
    for text in texts:
        alphabet.add(text)
    tokenizer = wordpiece.train(texts, alphabet.kept(100), 90)
    assert tokenizer.vocabulary[:5] == SPECIAL_TOKENS
    assert tokenizer.specials == Specials(0, 1, 2, 3, 4)
    assert len(tokenizer.vocabulary) == 90
    assert 1 not in tokenizer.encoder.encode(texts[0]).ids
    assert "the" in tokenizer.ids


def test_rare_characters_beyond_the_alphabet_are_unknown() -> None:
    alphabet = Alphabet()
    alphabet.add("aaa bbb cc ÀÀ\u0301 Z")
    assert alphabet.kept(99) == ["a", "b", "c", "z"]
    assert alphabet.kept(2) == ["a", "b"]
    tokenizer = wordpiece.train(["aaa bbb"] * 3, ["a", "b"], 20)
    assert tokenizer.encoder.encode("abc aab").ids[0] == tokenizer.specials.unk


def test_a_vocabulary_that_cannot_hold_its_characters_is_refused() -> None:
    with pytest.raises(DataError, match="too small: special tokens and single characters alone are 11"):
        wordpiece.train(["abc"], list("abc"), 11)


def test_special_tokens_in_a_text_are_plain_text(letters: WordPiece) -> None:
    ids = letters.encoder.encode("a [SEP] b", add_special_tokens=False).ids
    assert [letters.vocabulary[index] for index in ids] == ["a", "[", "s", "##e", "##p", "]", "b"]


def test_saved_and_loaded_it_is_the_same(letters: WordPiece, tmp_path: Path) -> None:
    letters.save(tmp_path)
    for place in (tmp_path, tmp_path / "vocab.txt", tmp_path / "tokenizer.json"):
        assert wordpiece.load(place).digest == letters.digest
    (tmp_path / "tokenizer.json").unlink()
    assert wordpiece.load(tmp_path).digest == letters.digest


def test_transformers_reads_what_is_saved(letters: WordPiece, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    letters.save(tmp_path)
    full = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    encoded = full.encode("ab", "C")
    assert encoded.tokens == ["[CLS]", "a", "##b", "[SEP]", "c", "[SEP]"]
    assert encoded.type_ids == [0, 0, 0, 0, 1, 1]


def test_a_cased_vocabulary_is_seen_or_stated(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\r\n".join([*SPECIAL_TOKENS, "[unused0]", "the", "Paris"]) + "\r\n")
    cased = wordpiece.load(vocabulary)
    assert cased.normaliser["lowercase"] is False
    assert cased.encoder.encode("Paris").ids == [7]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    assert wordpiece.load(tmp_path).normaliser["lowercase"] is True


def test_digests_tell_order_and_case_apart() -> None:
    base = WordPiece((*SPECIAL_TOKENS, "a", "b"))
    others = [WordPiece((*SPECIAL_TOKENS, "b", "a")), WordPiece((*SPECIAL_TOKENS, "a", "b"), {"lowercase": False})]
    assert len({base.digest, *(other.digest for other in others)}) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", "a\nb\n", r"has no \[PAD\], \[UNK\]"),
        ("vocab.txt", "\n".join([*SPECIAL_TOKENS, "a", "a"]), "holds a piece twice"),
        ("tokenizer.json", "{", "not a tokenizer"),
        ("tokenizer.json", json.dumps({"model": {"type": "BPE"}}), "not a BERT WordPiece tokenizer"),
        (
            "tokenizer.json",
            json.dumps(
                {"model": {"type": "WordPiece", "vocab": {"a": 3}}, "pre_tokenizer": {"type": "BertPreTokenizer"}}
            ),
            "ids of its vocabulary are not 0, 1, 2",
        ),
    ],
)
def test_what_is_no_tokenizer_is_refused_by_name(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        wordpiece.load(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither tokenizer.json nor vocab.txt"):
        wordpiece.load(tmp_path)
    with pytest.raises(DataError, match="no such tokenizer"):
        wordpiece.load(tmp_path / "vocab.txt")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no local copy of BERT's vocabulary")
def test_berts_own_vocabulary() -> None:
    tokenizer = wordpiece.load(SHARED / "bert-base-uncased" / "vocab.txt")
    assert len(tokenizer.vocabulary) == 30_522
    assert tokenizer.specials == Specials(pad=0, unk=100, cls=101, sep=102, mask=103)
    assert tokenizer.encoder.encode("Hello, World!", add_special_tokens=False).ids == [7592, 1010, 2088, 999]
