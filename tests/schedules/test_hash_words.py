"""Hash words: Random123's known answers, independence of position and process, uniformity."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.schedules.hash_words import key_of, philox, seed_word, words

# Random123 1.14, tests/kat_vectors: philox4x32 10 <counter> <key> <answer>
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def _numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers_of_random123(counter: str, key: str, answer: str) -> None:
    k0, k1 = _numbers(key)
    assert philox(np.array(_numbers(counter), dtype=np.uint64), (k0, k1)).tolist() == _numbers(answer)


def test_known_answers_in_one_array_and_without_changing_it() -> None:
    counter = np.array([[_numbers(KNOWN[0][0])] * 2] * 3, dtype=np.uint64)
    before = counter.copy()
    drawn = philox(counter, (0, 0))
    assert drawn.shape == (3, 2, 4)
    assert (drawn == np.array(_numbers(KNOWN[0][2]))).all()
    assert (counter == before).all()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**70),
    st.text(max_size=8),
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.integers(1, 13),
)
def test_a_word_depends_on_its_place_alone(seed: int, purpose: str, a: list[int], b: int, count: int) -> None:
    together = words(seed, purpose, np.array(a, dtype=np.uint64), b, count=count)
    assert together.shape == (len(a), count)
    assert together.dtype == np.uint32
    for row, number in zip(together, a, strict=True):
        assert (words(seed, purpose, number, b, count=count) == row).all()
    assert (words(seed, purpose, np.array(a, dtype=np.uint64), b, count=count + 7)[:, :count] == together).all()


def test_every_argument_changes_the_words() -> None:
    base = words(1, "plan", 5, 0, count=8).tolist()
    others = [
        words(2, "plan", 5, 0, count=8),
        words(1, "mask", 5, 0, count=8),
        words(1, "plan", 6, 0, count=8),
        words(1, "plan", 5, 1, count=8),
    ]
    others += [words(1, "plan", 5 + 2**32, 0, count=8)]
    rows = [base, *(other.tolist() for other in others)]
    assert len({tuple(row) for row in rows}) == len(rows) == 6


def test_broadcasting_of_steps_and_groups() -> None:
    grid = words(0, "plan", np.arange(3)[:, None], np.arange(2)[None, :], count=5)
    assert grid.shape == (3, 2, 5)
    assert (grid[2, 1] == words(0, "plan", 2, 1, count=5)).all()
    assert words(0, "plan", np.array([], dtype=np.int64), count=3).shape == (0, 3)


@pytest.mark.parametrize(("a", "b"), [(-1, 0), (0, -1), (0, 2**32), (np.array([0, -3]), 0)])
def test_counters_outside_the_range_are_refused(a: int, b: int) -> None:
    with pytest.raises(ValueError, match="not negative"):
        words(0, "plan", a, b, count=1)


def test_words_are_uniform() -> None:
    drawn = words(7, "test", np.arange(50_000), count=4)
    counts = np.bincount((drawn >> np.uint32(24)).ravel().astype(np.int64), minlength=256)
    expected = drawn.size / 256
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_squared - 255) < 4 * np.sqrt(2 * 255)
    bits = ((drawn[..., None] >> np.arange(32, dtype=np.uint32)) & 1).mean(axis=(0, 1))
    assert np.abs(bits - 0.5).max() < 4.5 * 0.5 / np.sqrt(drawn.size)


def test_seed_words_fit_torch_and_differ() -> None:
    seeds = {seed_word(seed, purpose, a) for seed in range(5) for purpose in ("init:x", "init:y") for a in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_words_are_equal_in_another_process() -> None:
    code = (
        "from pld_search.schedules.hash_words import words, key_of; print(words(3, 'plan', [0, 2**40], 9, "
        "count=6).tolist(), key_of(3, 'plan'))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "1"}
    )
    assert other.stdout.strip() == f"{words(3, 'plan', [0, 2**40], 9, count=6).tolist()} {key_of(3, 'plan')}"
