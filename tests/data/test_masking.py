from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pld_search.data.masking import IGNORED, Ids, Masked, WordsOf, count_predicted, mask, ordinary_ids
from pld_search.data.wordpiece import Specials

SPECIALS = Specials(0, 1, 2, 3, 4)
VOCABULARY = 50


def some_rows(n: int, length: int, seed: int = 0) -> Ids:
    drawn = np.random.default_rng(seed)
    rows = drawn.integers(5, VOCABULARY, (n, length))
    rows[:, 0] = SPECIALS.cls
    rows[drawn.random((n, length)) < 0.1] = SPECIALS.sep
    return rows


def masked(
    rows: Ids, keys: object = None, *, seed: int = 0, step: int = 0, predictions: int = 5, purpose: str = "mask"
) -> Masked:
    wanted = np.arange(len(rows)) if keys is None else np.asarray(keys)
    return mask(
        rows,
        wanted,
        WordsOf(seed, purpose, step),
        predictions=predictions,
        specials=SPECIALS,
        vocabulary=VOCABULARY,
    )


@given(st.integers(1, 8), st.integers(8, 40), st.integers(1, 10), st.integers(0, 2**32), st.integers(0, 2**40))
def test_only_ordinary_tokens_are_predicted_and_nothing_else_changes(
    n: int, length: int, predictions: int, seed: int, step: int
) -> None:
    rows = some_rows(n, length, seed % 7)
    got = masked(rows, seed=seed, step=step, predictions=predictions)
    assert got.positions.shape == got.labels.shape == (n, min(predictions, length))
    for row, shown, positions, labels in zip(rows, got.input_ids, got.positions, got.labels, strict=True):
        real = labels != IGNORED
        assert real.sum() == min(predictions, int((~np.isin(row, SPECIALS)).sum()))
        assert (np.diff(positions[real]) > 0).all()
        assert (row[positions[real]] == labels[real]).all()
        assert not np.isin(labels[real], SPECIALS).any()
        untouched = np.setdiff1d(np.arange(length), positions[real])
        assert (shown[untouched] == row[untouched]).all()
        assert np.isin(shown[positions[real]], [SPECIALS.mask, *range(5, VOCABULARY)]).all()


@given(st.integers(1, 8), st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32))
def test_predictions_are_counted_without_masking(n: int, length: int, predictions: int, seed: int) -> None:
    rows = some_rows(n, length, seed)
    rows[0] = SPECIALS.sep  # nothing to predict
    assert count_predicted(rows, predictions, SPECIALS) == masked(rows, predictions=predictions).predicted


@given(st.integers(1, 8), st.permutations(range(8)))
def test_a_sequence_is_masked_by_its_key_alone(cut: int, order: list[int]) -> None:
    rows = some_rows(8, 20)
    whole = masked(rows)
    for name in ("input_ids", "positions", "labels"):
        assert np.array_equal(getattr(masked(rows[:cut]), name), getattr(whole[:cut], name))
        assert np.array_equal(getattr(masked(rows[order], order), name), getattr(whole, name)[order])


def test_every_part_of_the_key_matters() -> None:
    rows = some_rows(8, 20)
    base = masked(rows).positions
    others = [masked(rows, seed=1), masked(rows, step=1), masked(rows, purpose="other"), masked(rows, np.arange(8) + 8)]
    assert all(not np.array_equal(base, other.positions) for other in others)


def test_shares_of_masked_random_and_kept_tokens() -> None:
    rows = np.full((4000, 30), 7)
    rows[:, 0] = SPECIALS.cls
    got = masked(rows, predictions=5)
    shown = np.take_along_axis(got.input_ids, got.positions, axis=1)
    n = shown.size
    expected = {
        "mask": (shown == SPECIALS.mask, 0.8),
        "kept": (shown == 7, 0.1 + 0.1 / 45),
        "random": ((shown != 7) & (shown != SPECIALS.mask), 0.1 * 44 / 45),
    }
    for name, (found, share) in expected.items():
        assert abs(found.mean() - share) < 4 * (share * (1 - share) / n) ** 0.5, name
    counts = np.bincount(shown[(shown != 7) & (shown != SPECIALS.mask)], minlength=VOCABULARY)[5:]
    drawn = np.delete(counts, 2)
    assert ((drawn - drawn.mean()) ** 2 / drawn.mean()).sum() < 43 + 4 * (2 * 43) ** 0.5  # chi-square over 44 tokens


def test_every_ordinary_position_is_as_likely() -> None:
    rows = np.full((40_000, 21), 7)
    rows[:, 0] = SPECIALS.cls
    counts = np.bincount(masked(rows, predictions=4).positions.ravel(), minlength=21)
    assert counts[0] == 0
    # chi-square over 20 positions, 4 of them drawn
    spread = ((counts[1:] - 8000) ** 2).sum() / (40_000 * 0.2 * 0.8) * 19 / 20
    assert abs(spread - 19) < 4 * (2 * 19) ** 0.5


def test_a_sequence_with_too_few_tokens_ignores_the_rest() -> None:
    rows = np.array([[2, 9, 3, 3, 3, 3, 3, 3]])
    got = masked(rows, predictions=3)
    assert sorted(got.labels[0].tolist()) == [IGNORED, IGNORED, 9]
    assert sorted(got.positions[0].tolist()) == [0, 0, 1]


def test_ordinary_ids_leave_out_specials_wherever_they_are() -> None:
    assert ordinary_ids(Specials(0, 5, 6, 7, 3), 10).tolist() == [1, 2, 4, 8, 9]


def test_masks_are_settled_for_good() -> None:
    got = masked(np.arange(2 * 12).reshape(2, 12) + 5, predictions=3, seed=1, step=2)
    assert got.positions.tolist() == [[1, 2, 8], [0, 5, 10]]
    assert got.input_ids.tolist() == [
        [5, 6, 23, 8, 9, 10, 11, 12, 4, 14, 15, 16],
        [4, 18, 19, 20, 21, 4, 23, 24, 25, 26, 4, 28],
    ]
