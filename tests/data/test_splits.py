from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.data.splits import TEST, TRAIN, VALIDATION, assign
from pld_search.errors import DataError


def hashes(n: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


@given(st.integers(10, 300), st.floats(0.001, 0.4), st.floats(0.001, 0.4), st.integers(0, 50))
def test_shares_of_the_documents_at_least_one_each(n: int, validation: float, test: float, seed: int) -> None:
    split = assign(hashes(n, seed), validation, test)
    assert (split == VALIDATION).sum() == max(1, int(validation * n + 0.5))
    assert (split == TEST).sum() == max(1, int(test * n + 0.5))
    assert (split == TRAIN).sum() > 0


def test_a_split_does_not_depend_on_the_order_of_documents() -> None:
    drawn = hashes(100)
    order = np.random.default_rng(1).permutation(100)
    assert np.array_equal(assign(drawn[order], 0.1, 0.2), assign(drawn, 0.1, 0.2)[order])


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    drawn = hashes(100)
    small, large = assign(drawn, 0.05, 0.05), assign(drawn, 0.1, 0.1)
    for name in (VALIDATION, TEST):
        assert set(np.flatnonzero(small == name)) < set(np.flatnonzero(large == name))


def test_equal_documents_are_never_parted() -> None:
    drawn = np.repeat(hashes(30), 4)
    split = assign(drawn, 0.1, 0.1).reshape(30, 4)
    assert (split == split[:, :1]).all()
    assert set(split.ravel().tolist()) == {TRAIN, VALIDATION, TEST}


def test_no_share_no_split() -> None:
    assert (assign(hashes(5), None, None) == TRAIN).all()
    assert set(assign(hashes(5), 0.2, None).tolist()) == {TRAIN, VALIDATION}


@pytest.mark.parametrize(
    "drawn", [hashes(1), hashes(2), np.repeat(hashes(2), 50), np.array([1] + [2] * 8 + [3], dtype=np.uint64)]
)
def test_too_few_different_documents_are_refused(drawn: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match="cannot be split by shares"):
        assign(drawn, 0.2, 0.1)
