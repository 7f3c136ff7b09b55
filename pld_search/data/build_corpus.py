"""Builds a corpus from spooled documents: tokenizer, token files, manifest. An interrupted build continues from its
progress files.

Documents are read twice (once to train the tokenizer, on training documents only) and written in the order of splits.
Memory holds a few megabytes of text, its tokens and the encoder's chunks, for a corpus of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pld_search.data import content_cache, wordpiece
from pld_search.data.build_progress import BuildProgress
from pld_search.data.packed_corpus import DOCUMENTS, FORMAT, SENTENCES, TOKENS
from pld_search.data.splits import SPLITS, TRAIN
from pld_search.data.spool import Spool
from pld_search.data.token_files import TokenFiles
from pld_search.data.wordpiece import Alphabet, WordPiece, train
from pld_search.frozen import digest_of
from pld_search.host.disk import file_digest

_MOST_BYTES = 1 << 30  # more text hardly changes a vocabulary
_FILES = (TOKENS, DOCUMENTS, SENTENCES)
_TOKENIZER_MARK = "tokenizer.mark.json"
Progress = Callable[[str], None]


def trained_tokenizer(
    folder: Path, spool: Spool, split: NDArray[np.uint8], vocabulary: int, progress: Progress
) -> WordPiece:
    """Returns the tokenizer of the training documents; if an interrupted build finished one, reads it from `folder`."""
    mark = BuildProgress(folder / _TOKENIZER_MARK)
    if mark.read() is None:
        progress(f"training a WordPiece tokenizer of {vocabulary} pieces")
        train_tokenizer(spool, split, vocabulary).save(folder)
        mark.write({})
    return wordpiece.load(folder)


def train_tokenizer(spool: Spool, split: NDArray[np.uint8], vocabulary: int) -> WordPiece:
    """Trains a WordPiece vocabulary on the training documents. Single characters take at most half of it; the rarest
    are left out.

    With more than 1 GiB of text, it is trained on the documents with the smallest hashes up to 1 GiB: a sample that
    does not depend on the order of the documents.
    """
    chosen = _sample(spool, np.flatnonzero(split == TRAIN))
    alphabet = Alphabet()
    for text in _texts(spool, chosen):
        alphabet.add(text)
    return train(_texts(spool, chosen), alphabet.kept(vocabulary // 4), vocabulary)


def _sample(spool: Spool, documents: NDArray[np.int64]) -> NDArray[np.int64]:
    if spool.bytes_of(documents) <= _MOST_BYTES:
        return documents
    by_hash = documents[np.argsort(spool.hashes[documents], kind="stable")]
    sizes = np.cumsum(spool.sizes(by_hash))
    return np.sort(by_hash[: max(1, int(np.searchsorted(sizes, _MOST_BYTES)))])


def _texts(spool: Spool, documents: NDArray[np.int64]) -> Iterator[str]:
    for document in documents:
        yield from spool.text(int(document))


def build(folder: Path, spool: Spool, split: NDArray[np.uint8], tokenizer: WordPiece, progress: Progress) -> str:
    """Writes a whole corpus, or its missing rest, into `folder` and returns its content digest."""
    tokenizer.save(folder)
    with TokenFiles(folder, tokenizer) as files:
        for number, name in enumerate(SPLITS):
            documents = np.flatnonzero(split == number)
            progress(f"encoding {len(documents)} documents of {name}")
            files.split(name, spool, documents, counted=number == TRAIN)
    digest = _finish(folder, files, tokenizer)
    files.done()
    BuildProgress(folder / _TOKENIZER_MARK).remove()
    return digest


def _finish(folder: Path, files: TokenFiles, tokenizer: WordPiece) -> str:
    """Writes the manifest of the closed files and returns the content digest."""
    content = {
        "format": FORMAT,
        "tokenizer": tokenizer.digest,
        "dtype": files.dtype.str,
        "vocabulary": len(tokenizer.vocabulary),
        "specials": tokenizer.specials._asdict(),
        "splits": files.splits,
    }
    contents = {name: file_digest(folder / name) for name in _FILES}
    digest = digest_of({**content, "contents": contents})
    statistics = _statistics(files, tokenizer)
    content_cache.write_manifest(
        folder, {**content, "digest": digest, "statistics": statistics}, [*_FILES, "tokenizer.json", "vocab.txt"]
    )
    return digest


def _statistics(files: TokenFiles, tokenizer: WordPiece) -> dict[str, Any]:
    kinds = ("documents", "sentences", "tokens", "bytes")
    sizes = {what: {name: parts[what][1] - parts[what][0] for name, parts in files.splits.items()} for what in kinds}
    ordinary = _without(files.counts, tokenizer.specials)
    return {**sizes, "vocabulary": len(tokenizer.vocabulary), "unigram_entropy": entropy(ordinary)}


def entropy(counts: NDArray[np.int64]) -> float:
    """Returns the entropy in nats of a distribution given by counts; 0 without counts."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum()) + 0.0  # never -0.0


def _without(counts: NDArray[np.int64], specials: Iterable[int]) -> NDArray[np.int64]:
    """Returns the counts of tokens that masking may choose, without special tokens: [UNK] in a text is never
    predicted.
    """
    ordinary = counts.copy()
    ordinary[list(specials)] = 0
    return ordinary
