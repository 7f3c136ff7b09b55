"""Assigns documents to train, validation and test by a keyed hash of each document's content.

The documents with the lowest hashes are test; the documents with the highest hashes are validation. So a document's
split does not depend on the place of its file, a smaller share is a subset of a larger one, and equal documents stay
together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pld_search.errors import DataError
from pld_search.schedules.units import round_half_up

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")
MOST_SHARED = 0.02
"""The largest share of a split's text, in bytes, that may also be in another split; equal headings are less than
that.
"""


def shared(hashes: NDArray[np.uint64], sizes: NDArray[np.uint64], split: NDArray[np.uint8]) -> dict[str, int]:
    """Returns how many documents of each later split are also in an earlier one, by content: `{"train and test": 3}`.
    Pairs of splits without such a document are left out.

    Only splits stated as files can share documents. Raises DataError if the shared documents are more than MOST_SHARED
    of the text of either split.
    """
    found: dict[str, int] = {}
    for first, second in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        one, other = np.flatnonzero(split == first), np.flatnonzero(split == second)
        in_both = np.intersect1d(hashes[one], hashes[other])
        if not len(in_both):
            continue
        parts = [documents[np.isin(hashes[documents], in_both)] for documents in (one, other)]
        shares = [
            float(sizes[part].sum()) / max(1, int(sizes[whole].sum()))
            for part, whole in zip(parts, (one, other), strict=True)
        ]
        if max(shares) > MOST_SHARED:
            told = ", ".join(
                f"{share:.3g} of {SPLITS[name]}" for share, name in zip(shares, (first, second), strict=True)
            )
            raise DataError(
                f"{len(parts[1]):,} documents of the {SPLITS[second]} text stand in the {SPLITS[first]} text "
                f"as well (share of the text: {told}; "
                f"at most {MOST_SHARED:g}, as for headings): state files that do not overlap"
            )
        found[f"{SPLITS[first]} and {SPLITS[second]}"] = len(parts[1])
    return found


def assign(hashes: NDArray[np.uint64], validation: float | None, test: float | None) -> NDArray[np.uint8]:
    """Returns TRAIN, VALIDATION or TEST for every document, by shares in [0, 1] (at least one document each; None: no
    such split).

    Equal documents may make a split larger than its share. Raises DataError if a split or training would be empty.
    """
    counts = {
        name: max(1, round_half_up(share * len(hashes)))
        for name, share in ((VALIDATION, validation), (TEST, test))
        if share is not None
    }
    split = np.zeros(len(hashes), dtype=np.uint8)
    ordered = np.sort(hashes)
    if VALIDATION in counts:
        split[hashes >= ordered[-counts[VALIDATION]]] = VALIDATION
    if TEST in counts:
        split[hashes <= ordered[counts[TEST] - 1]] = TEST
    if not all((split == name).any() for name in (TRAIN, *counts)):
        raise DataError(
            f"{len(hashes)} documents ({len(np.unique(hashes))} different ones) cannot be split by shares "
            "into train, validation and test: "
            "cut the text into more documents (`document: paragraph` or `line`), or state files for validation and test"
        )
    return split
