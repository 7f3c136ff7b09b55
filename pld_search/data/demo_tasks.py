"""Three downstream tasks with real labels from the demo corpus. Every label is the `year` in the package's
`metadata.csv` for the address of a passage; no label is invented.

- `era`, classification: the period, of four, in which a passage was spoken or written; accuracy.
- `older`, pair: whether the first of two passages, from addresses at least 50 years apart, is the older one; accuracy.
- `year`, regression: when a passage was spoken or written, as (year - 1900) / 100; Pearson and Spearman.

The tasks are split by document: a tenth of the addresses is dev, another tenth test, the rest train, chosen by the same
hash of the text as a corpus's own splits. So no passage of a dev or test address is a training example. An address that
the demo corpus holds out for validation (test) with a share up to a tenth is a dev (test) address here. With a share of
a tenth, the addresses are exactly the same, so pre-training has not read the dev texts either.

A passage is a window of words. Hash words draw it, so it is the same everywhere. It is short enough for a model of 64
positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pld_search.data.demo_corpus import VERSION, Address, addresses
from pld_search.data.splits import assign
from pld_search.data.spool import as_number, content_hash
from pld_search.data.tasks import Example, Kind, TaskContent
from pld_search.schedules.hash_words import words

NAMES = ("era", "older", "year")
SHARE = 0.1
EXAMPLES = {"train": 1000, "dev": 400, "test": 400}
WINDOW = 20  # words of a passage; each passage of a pair has half as many
GAP = 50  # the smallest distance in years between the addresses of a pair
# what a stored task was made by; the first number counts changes of the code below
RECIPE = (1, VERSION, SHARE, EXAMPLES, WINDOW, GAP)
ERAS = ((1850, "before 1850"), (1900, "1850-1899"), (1950, "1900-1949"), (10_000, "since 1950"))


class Source(NamedTuple):
    """An address split into words."""

    address: Address
    words: list[str]


Maker = Callable[[Sequence[Source], NDArray[np.uint64]], Example]


@dataclass(frozen=True, slots=True)
class _Demo:
    kind: Kind
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    make: Maker
    about: str


def contents(name: str) -> TaskContent:
    """Returns one of the demo's tasks, by a name in `NAMES`."""
    demo = _TASKS[name]
    splits = {split: _examples(name, demo.make, split, given) for split, given in sources().items()}
    return TaskContent("demo", name, demo.kind, demo.metrics, splits, demo.labels, demo.about)


def sources() -> dict[str, list[Source]]:
    """Returns the addresses of each split."""
    everything = addresses()
    hashes = np.array([as_number(content_hash([address.text])) for address in everything], dtype=np.uint64)
    split = assign(hashes, SHARE, SHARE)
    return {
        name: [
            Source(address, address.text.split())
            for address, here in zip(everything, split, strict=True)
            if here == number
        ]
        for number, name in enumerate(EXAMPLES)
    }


def _examples(name: str, make: Maker, split: str, sources: Sequence[Source]) -> list[Example]:
    drawn = words(0, f"demo:{name}:{split}", np.arange(EXAMPLES[split]), count=4).astype(np.uint64)
    return [make(sources, row) for row in drawn]


def _below(word: np.uint64, n: int) -> int:
    """Maps a hash word to a number 0 .. n - 1."""
    return int(word) * n >> 32


def _passage(source: Source, word: np.uint64, count: int = WINDOW) -> str:
    """Returns `count` consecutive words of an address."""
    start = _below(word, len(source.words) - count + 1)
    return " ".join(source.words[start : start + count])


def _era(sources: Sequence[Source], drawn: NDArray[np.uint64]) -> Example:
    source = sources[_below(drawn[0], len(sources))]
    label = next(number for number, (end, _) in enumerate(ERAS) if source.address.year < end)
    return Example(_passage(source, drawn[1]), None, label)


def _year(sources: Sequence[Source], drawn: NDArray[np.uint64]) -> Example:
    source = sources[_below(drawn[0], len(sources))]
    return Example(_passage(source, drawn[1]), None, (source.address.year - 1900) / 100)


def _older(sources: Sequence[Source], drawn: NDArray[np.uint64]) -> Example:
    first = sources[_below(drawn[0], len(sources))]
    far = [source for source in sources if abs(source.address.year - first.address.year) >= GAP]
    second = far[_below(drawn[2], len(far))]
    begin, end = _passage(first, drawn[1], WINDOW // 2), _passage(second, drawn[3], WINDOW // 2)
    return Example(begin, end, int(first.address.year < second.address.year))


_TASKS = {
    "era": _Demo(
        "classification",
        ("accuracy",),
        tuple(name for _, name in ERAS),
        _era,
        "the period of a passage, by the year of its address",
    ),
    "older": _Demo(
        "classification",
        ("accuracy",),
        ("newer", "older"),
        _older,
        "whether the first of two passages is the older one, by the years of their addresses",
    ),
    "year": _Demo(
        "regression", ("pearson", "spearman"), (), _year, "the year of a passage's address, in centuries from 1900"
    ),
}
