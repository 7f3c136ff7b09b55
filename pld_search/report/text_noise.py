"""The share of the text in a difference of losses, from the losses that runs keep by document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pld_search.records.events import HeldOutLosses
from pld_search.records.run_record import RunRecord
from pld_search.statistics.blocked import Variance
from pld_search.statistics.bootstrap import LEAST_DOCUMENTS, BootstrapInterval, bootstrap, document_variance

SPLITS = {"valid/loss": "validation", "test/loss": "test"}


@dataclass(frozen=True, slots=True)
class TextNoise:
    """For each row's difference to the reference: its variance over documents, and its bootstrap interval over seeds
    and documents (None with one seed).
    """

    variances: Mapping[str, Variance]
    intervals: Mapping[str, BootstrapInterval]


NONE = TextNoise({}, {})


def text_noise(rows: Mapping[str, Mapping[int, RunRecord]], reference: str, name: str) -> TextNoise:
    """Returns the text's noise in the differences of metric `name`, for rows with the reference's predictions, a common
    seed, and at least 30 documents. `rows` are finished runs by seed.
    """
    split = SPLITS.get(name)
    if split is None or reference not in rows:
        return NONE
    kept = {
        row: {seed: run.losses[split] for seed, run in runs.items() if split in run.losses}
        for row, runs in rows.items()
    }
    groups: dict[tuple[int, ...], list[str]] = {}
    for row in kept:
        seeds = tuple(sorted(set(kept[row]) & set(kept[reference])))
        if row != reference and seeds and _alike([*kept[row].values(), *kept[reference].values()]):
            groups.setdefault(seeds, []).append(row)
    variances: dict[str, Variance] = {}
    intervals: dict[str, BootstrapInterval] = {}
    for seeds, members in groups.items():
        sums = np.array([[kept[row][seed].arrays[0] for seed in seeds] for row in (reference, *members)])
        first = kept[reference][seeds[0]]
        found, drawn = _noise(sums.shape, sums.tobytes(), first.arrays[1].tobytes(), first.documents)
        variances |= {row: one for row, one in zip(members, found[1:], strict=True) if one is not None}
        if drawn is not None:
            intervals |= dict(zip(members, drawn[1:], strict=True))
    return TextNoise(variances, intervals)


def _alike(losses: list[HeldOutLosses]) -> bool:
    """Whether all losses are of the same predictions, from enough documents to generalise to other documents."""
    first = losses[0]
    same = all((each.documents, each.counts) == (first.documents, first.counts) for each in losses)
    return same and first.documents >= LEAST_DOCUMENTS


@lru_cache(maxsize=32)
def _noise(
    shape: tuple[int, ...], sums: bytes, counts: bytes, documents: int
) -> tuple[tuple[Variance | None, ...], tuple[BootstrapInterval, ...] | None]:
    """Computes both for rows x seeds x blocks (row 0 is the reference). Cached, because every view asks for it."""
    numbers, predictions = np.frombuffer(sums).reshape(shape), np.frombuffer(counts, dtype=np.int64)
    drawn = bootstrap(numbers, predictions, 0, documents=documents)
    found = document_variance(numbers, predictions, 0, documents)
    return tuple(found), None if drawn is None else tuple(drawn)
