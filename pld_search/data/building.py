"""A spool of documents becomes a corpus folder: tokenizer, token file, offsets, manifest.

Documents are read twice (once to train the tokenizer, on training documents only) and written in the order of splits.
Memory holds a megabyte of text, its tokens and the encoder's chunks, however large the corpus is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pld_search.data import store
from pld_search.data.corpus import DOCUMENTS, FORMAT, OFFSETS, SENTENCES, TOKENS
from pld_search.data.splits import SPLITS, TRAIN
from pld_search.data.spool import Spool
from pld_search.data.tokens import Encoder, sentences
from pld_search.data.wordpiece import Alphabet, WordPiece, train
from pld_search.disk import file_digest
from pld_search.frozen import digest_of

_BLOCK_CHARACTERS = 1 << 20
Progress = Callable[[str], None]


def train_tokenizer(spool: Spool, split: NDArray[np.uint8], vocabulary: int) -> WordPiece:
    """A WordPiece vocabulary of the training documents; single characters take at most half of it, the rarest left out."""
    chosen = np.flatnonzero(split == TRAIN).tolist()
    alphabet = Alphabet()
    for document in chosen:
        for text in spool.text(document):
            alphabet.add(text)
    return train((text for document in chosen for text in spool.text(document)), alphabet.kept(vocabulary // 4), vocabulary)


def build(folder: Path, spool: Spool, split: NDArray[np.uint8], tokenizer: WordPiece, progress: Progress) -> str:
    """Write a whole corpus into `folder` (empty) and return its content digest."""
    tokenizer.save(folder)
    with _Files(folder, tokenizer) as files:
        for number, name in enumerate(SPLITS):
            documents = np.flatnonzero(split == number).tolist()
            progress(f"encoding {len(documents)} documents of {name}")
            files.split(name, spool, documents)
    return files.finish()


class _Files:
    """The token file and the two offset files while they grow."""

    def __init__(self, folder: Path, tokenizer: WordPiece) -> None:
        self._folder, self._tokenizer, self._encoder = folder, tokenizer, Encoder(tokenizer)
        self._dtype = np.dtype("<u2" if len(tokenizer.vocabulary) <= 1 << 16 else "<u4")
        self._open = {name: (folder / name).open("wb") for name in (TOKENS, DOCUMENTS, SENTENCES)}
        self._open[DOCUMENTS].write(bytes(OFFSETS.itemsize))
        self._counts = np.zeros(len(tokenizer.vocabulary), dtype=np.int64)
        self._written = dict.fromkeys(("tokens", "documents", "sentences", "bytes"), 0)
        self._splits: dict[str, dict[str, list[int]]] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def split(self, name: str, spool: Spool, documents: list[int]) -> None:
        before = dict(self._written)
        for block in _blocks(_units(spool, documents)):
            self._block(block, counted=name == SPLITS[TRAIN])
        self._written["bytes"] += sum(spool.size(document) for document in documents)
        self._splits[name] = {what: [before[what], self._written[what]] for what in before}

    def _block(self, block: list[str | None], *, counted: bool) -> None:
        """Encode sentences and append them; a None ends a document, with [SEP]."""
        ids, lengths = self._encoder.encode(unit for unit in block if unit is not None)
        if counted:
            self._counts += np.bincount(ids, minlength=len(self._counts))
        ended = np.array([unit is None for unit in block])
        sizes = np.ones(len(block), dtype=np.int64)
        sizes[~ended] = lengths
        ends = np.cumsum(sizes)
        tokens = np.insert(ids, (ends - np.cumsum(ended))[ended], self._tokenizer.specials.sep)
        starts = (ends - sizes)[~ended & (sizes > 0)]
        self._append(TOKENS, tokens.astype(self._dtype))
        self._append(SENTENCES, (starts + self._written["tokens"]).astype(OFFSETS))
        self._append(DOCUMENTS, (ends[ended] + self._written["tokens"]).astype(OFFSETS))
        self._written["tokens"] += len(tokens)
        self._written["sentences"] += len(starts)
        self._written["documents"] += int(ended.sum())

    def _append(self, name: str, values: NDArray[Any]) -> None:
        self._open[name].write(values.tobytes())

    def finish(self) -> str:
        """Write the manifest of the closed files; returns the content digest."""
        tokenizer = self._tokenizer
        content = {
            "format": FORMAT,
            "tokenizer": tokenizer.digest,
            "dtype": self._dtype.str,
            "vocabulary": len(tokenizer.vocabulary),
            "specials": tokenizer.specials._asdict(),
            "splits": self._splits,
        }
        contents = {name: file_digest(self._folder / name) for name in self._open}
        digest = digest_of({**content, "contents": contents})
        statistics = self._statistics()
        store.write_manifest(self._folder, {**content, "digest": digest, "statistics": statistics}, [*self._open, "tokenizer.json", "vocab.txt"])
        return digest

    def _statistics(self) -> dict[str, Any]:
        sizes = {
            what: {name: parts[what][1] - parts[what][0] for name, parts in self._splits.items()} for what in ("documents", "sentences", "tokens", "bytes")
        }
        return {**sizes, "vocabulary": len(self._tokenizer.vocabulary), "unigram_entropy": entropy(_without(self._counts, self._tokenizer.specials))}


def entropy(counts: NDArray[np.int64]) -> float:
    """The entropy in nats of a distribution given by counts; 0 where there are none."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum()) + 0.0  # never -0.0


def _without(counts: NDArray[np.int64], specials: Iterable[int]) -> NDArray[np.int64]:
    """Only what masking may choose: [UNK] in a text is never predicted."""
    ordinary = counts.copy()
    ordinary[list(specials)] = 0
    return ordinary


def _units(spool: Spool, documents: Iterable[int]) -> Iterator[str | None]:
    for document in documents:
        for text in spool.text(document):
            yield from sentences(text)
        yield None


def _blocks(units: Iterable[str | None]) -> Iterator[list[str | None]]:
    block: list[str | None] = []
    characters = 0
    for unit in units:
        block.append(unit)
        characters += 1 if unit is None else len(unit)
        if characters >= _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block
