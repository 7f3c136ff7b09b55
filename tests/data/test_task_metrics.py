from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from pld_search.data.task_metrics import METRICS, average, score

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40)
NUMBERS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=40)


@given(CLASSES)
def test_accuracy_and_mcc_agree_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    given, true = np.array(pairs).T
    scores = score(("accuracy", "mcc"), given, true)
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(true, given))
    if len(set(given)) > 1 and len(set(true)) > 1:
        assert scores["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(true, given), abs=1e-9)
    else:
        assert scores["mcc"] == 0


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40))
def test_f1_agrees_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    given, true = np.array(pairs).T
    assert score(("f1",), given, true)["f1"] == pytest.approx(sklearn_metrics.f1_score(true, given, zero_division=0))


@given(NUMBERS)
def test_correlations_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    given, true = np.array(pairs, dtype=float).T
    scores = score(("pearson", "spearman"), given, true)
    if len(set(given)) > 1 and len(set(true)) > 1:
        assert scores["pearson"] == pytest.approx(stats.pearsonr(given, true).statistic, abs=1e-9)
        assert scores["spearman"] == pytest.approx(stats.spearmanr(given, true).statistic, abs=1e-9)
    else:
        assert scores == {"pearson": 0, "spearman": 0}


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_prediction_has_no_correlation(constant: float) -> None:
    labels = np.linspace(0, 5, 50)
    predictions = np.full(50, constant) + np.arange(50) * constant * 1e-16  # constant up to rounding
    assert score(("pearson",), predictions, labels) == {"pearson": 0}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_scores_0(bad: float) -> None:
    assert score(METRICS, [0, 1, bad], [0, 1, 1]) == dict.fromkeys(METRICS, 0.0)


def test_lists_of_other_lengths_are_refused() -> None:
    for guess, true in (([1], [1, 0]), ([], []), ([[1]], [[1]])):
        with pytest.raises(ValueError, match="two equally long lists"):
            score(("accuracy",), guess, true)


def test_the_average_is_over_tasks_of_each_tasks_mean() -> None:
    assert average({"mrpc": {"f1": 0.8, "accuracy": 0.6}, "cola": {"mcc": 0.1}}) == pytest.approx(0.4)
