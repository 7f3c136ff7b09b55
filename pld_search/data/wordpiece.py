"""BERT WordPiece tokenizers: trained on text, or read from a vocab.txt or a folder; one value with a content digest.

One value has two encoders. `encoder` has no special tokens, so that a literal "[SEP]" in a text is encoded as ordinary
pieces, never as a separator. The saved `tokenizer.json` registers special tokens, as transformers expects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from pld_search.data.tokenizer_file import tokenizer_file
from pld_search.errors import DataError
from pld_search.frozen import digest_of

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_CODE_POINTS = 0x110000


class Specials(NamedTuple):
    """The ids of the five special tokens."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


@dataclass(frozen=True)
class WordPiece:
    """A vocabulary by id and the switches of BERT's normaliser (`lowercase`, `strip_accents`, ...)."""

    vocabulary: tuple[str, ...]
    normaliser: Mapping[str, Any] = field(default_factory=lambda: {"lowercase": True})

    def __post_init__(self) -> None:
        missing = [token for token in SPECIAL_TOKENS if token not in self.ids]
        if missing:
            raise DataError(
                f"the tokenizer's vocabulary has no {', '.join(missing)}; a BERT WordPiece vocabulary has "
                f"all of {' '.join(SPECIAL_TOKENS)}"
            )
        if len(self.ids) != len(self.vocabulary):
            raise DataError("the tokenizer's vocabulary holds a piece twice")

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every piece: its index in the vocabulary, from 0."""
        return {piece: index for index, piece in enumerate(self.vocabulary)}

    @property
    def specials(self) -> Specials:
        """The ids of the special tokens; the vocabulary has all of them."""
        return Specials(*(self.ids[token] for token in SPECIAL_TOKENS))

    @cached_property
    def digest(self) -> str:
        """The digest of the content: pieces in order and the normaliser's switches, independent of the file and of
        library versions.
        """
        return digest_of(
            {"kind": "wordpiece", "vocabulary": self.vocabulary, "normaliser": dict(sorted(self.normaliser.items()))}
        )

    @cached_property
    def encoder(self) -> Tokenizer:
        """The tokenizer without special tokens: it maps text to ordinary ids."""
        tokenizer = Tokenizer(models.WordPiece(self.ids, unk_token="[UNK]", max_input_chars_per_word=100))
        tokenizer.normalizer = normalizers.BertNormalizer(**self.normaliser)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    def save(self, folder: Path) -> None:
        """Writes `vocab.txt` and a `tokenizer.json` that `transformers` reads."""
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in self.vocabulary), encoding="utf-8")
        full = Tokenizer.from_str(self.encoder.to_str())
        full.add_special_tokens(list(SPECIAL_TOKENS))
        full.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", self.specials.cls), ("[SEP]", self.specials.sep)],
        )
        (folder / "tokenizer.json").write_text(full.to_str(), encoding="utf-8")

    def save_plain(self, folder: Path, longest: int) -> None:
        """Writes a folder that transformers' AutoTokenizer loads without this project; `longest` is the model's number
        of positions.

        Its class is the general class that uses `tokenizer.json` unchanged, because BertTokenizer would build its own
        normaliser.
        """
        self.save(folder)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": longest,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            **dict(zip(_NAMES, SPECIAL_TOKENS, strict=True)),
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load(place: Path) -> WordPiece:
    """Reads a tokenizer from a `vocab.txt`, a `tokenizer.json`, or a folder with one of them. Raises DataError.

    tokenizer.json or tokenizer_config.json state whether it lower-cases. Beside a bare vocab.txt, a vocabulary without
    upper-case letters counts as lower-casing.
    """
    place = tokenizer_file(place)
    try:
        text = place.read_text(encoding="utf-8")
        return _from_json(json.loads(text)) if place.suffix == ".json" else _from_lines(text, place)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place}: not a tokenizer ({error!r})") from error
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def _from_lines(text: str, place: Path) -> WordPiece:
    pieces = tuple(text.removesuffix("\n").split("\n"))
    pieces = tuple(piece.removesuffix("\r") for piece in pieces)
    config = place.parent / "tokenizer_config.json"
    stated = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    guessed = all(piece == piece.lower() for piece in pieces if not piece.startswith("["))
    return WordPiece(pieces, {"lowercase": bool(stated.get("do_lower_case", guessed))})


def _from_json(content: Mapping[str, Any]) -> WordPiece:
    model, normaliser = content["model"], content.get("normalizer") or {}
    if model.get("type") != "WordPiece" or (content.get("pre_tokenizer") or {}).get("type") != "BertPreTokenizer":
        raise DataError("not a BERT WordPiece tokenizer; other kinds cannot be used here")
    by_id = sorted(model["vocab"].items(), key=lambda item: item[1])
    if [index for _, index in by_id] != list(range(len(by_id))):
        raise DataError("the ids of its vocabulary are not 0, 1, 2, ...")
    switches = {
        name: normaliser[name]
        for name in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
        if name in normaliser
    }
    return WordPiece(tuple(piece for piece, _ in by_id), _canonical(switches))


def _canonical(switches: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the switches that differ from BertNormalizer's defaults, and `lowercase`, so that equal tokenizers have
    equal digests.
    """
    defaults = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None}
    differing = {name: value for name, value in switches.items() if name in defaults and value != defaults[name]}
    return {"lowercase": bool(switches.get("lowercase", False)), **differing}


def train(texts: Iterable[str], alphabet: list[str], vocabulary: int) -> WordPiece:
    """Trains a lower-casing WordPiece vocabulary of at most `vocabulary` pieces with `tokenizers`; deterministic.

    The library assigns the ids of single characters in the order of a hash map. This order differs from run to run and
    decides merges by breaking ties. So all characters of the `alphabet` get their ids beforehand, like special tokens.
    """
    least = len(SPECIAL_TOKENS) + 2 * len(alphabet)
    if vocabulary <= least:
        raise DataError(
            f"a vocabulary of {vocabulary} pieces is too small: special tokens and single characters alone are {least}"
        )
    first = [*SPECIAL_TOKENS, *alphabet, *(f"##{character}" for character in alphabet)]
    blank = WordPiece(SPECIAL_TOKENS).encoder
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=first,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    blank.train_from_iterator(texts, trainer)
    by_id = sorted(blank.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    return WordPiece(tuple(piece for piece, _ in by_id))


class Alphabet:
    """Counts the characters of a text; `kept(limit)` returns the most frequent ones after normalisation."""

    def __init__(self) -> None:
        self._counts = np.zeros(_CODE_POINTS, dtype=np.int64)

    def add(self, text: str) -> None:
        """Counts every character of a text."""
        counts = np.bincount(np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32))
        self._counts[: len(counts)] += counts

    def kept(self, limit: int) -> list[str]:
        """Returns the at most `limit` most frequent characters, without whitespace, sorted by code point."""
        normaliser = normalizers.BertNormalizer(lowercase=True)
        totals: dict[str, int] = {}
        for code in np.flatnonzero(self._counts).tolist():
            for character in normaliser.normalize_str(chr(code)).replace(" ", ""):
                totals[character] = totals.get(character, 0) + int(self._counts[code])
        return sorted(sorted(totals, key=lambda character: (-totals[character], character))[:limit])
