"""The official metrics of GLUE, and this project's average.

Predictions of a classification are class numbers, of a regression real numbers. A metric without a value is 0 by
definition: MCC, Pearson and Spearman when predictions or labels are constant, any metric when a prediction is not
finite (a diverged fine-tuning). No warning is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def accuracy(predictions: Numbers, labels: Numbers) -> float:
    """Returns the share of equal values, in [0, 1]."""
    return float((predictions == labels).mean())


def f1(predictions: Numbers, labels: Numbers) -> float:
    """Returns F1 of class 1 of two classes, in [0, 1]; 0 if class 1 is neither predicted nor a label."""
    hits = int(((predictions == 1) & (labels == 1)).sum())
    named = int((predictions == 1).sum()) + int((labels == 1).sum())
    return 2 * hits / named if named else 0.0


def mcc(predictions: Numbers, labels: Numbers) -> float:
    """Returns Matthews' correlation, for any number of classes, in [-1, 1] (Gorodkin, 2004)."""
    classes = np.union1d(predictions, labels)
    predicted, true = ((values[:, None] == classes).astype(np.float64) for values in (predictions, labels))
    return _correlation(predicted, true)


def pearson(predictions: Numbers, labels: Numbers) -> float:
    """Returns Pearson's correlation, in [-1, 1]."""
    return _correlation(predictions[:, None], labels[:, None])


def spearman(predictions: Numbers, labels: Numbers) -> float:
    """Returns Spearman's rank correlation, with ties at their mean rank, in [-1, 1]."""
    return pearson(_ranks(predictions), _ranks(labels))


def _ranks(values: Numbers) -> Numbers:
    """Ranks from 1 on, ties at their mean; scipy.stats has it too, and takes a second to load in every run."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Numbers = (last - (counts - 1) / 2)[place]
    return mean


METRICS: Mapping[str, Callable[[Numbers, Numbers], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "mcc": mcc,
    "pearson": pearson,
    "spearman": spearman,
}
REGRESSION_METRICS = ("pearson", "spearman")


def score(metrics: Iterable[str], predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Returns every named metric of `predictions` (N,) against `labels` (N,). Raises ValueError for different or empty
    lengths.
    """
    given, true = (np.asarray(values, dtype=np.float64) for values in (predictions, labels))
    if given.shape != true.shape or given.ndim != 1 or not given.size:
        raise ValueError(f"predictions {given.shape} and labels {true.shape} are not two equally long lists")
    finite = bool(np.isfinite(given).all())
    return {name: METRICS[name](given, true) if finite else 0.0 for name in metrics}


def average(scores: Mapping[str, Mapping[str, float]]) -> float:
    """Returns this project's average: the mean over tasks of the mean of each task's metrics. Published GLUE averages
    follow other rules.
    """
    return float(np.mean([np.mean(list(task.values())) for task in scores.values()]))


def _correlation(left: Numbers, right: Numbers) -> float:
    """Returns the normalised sum of covariances over columns; 0 if either side is constant up to rounding."""
    a, b = (values - values.mean(axis=0) for values in (left, right))
    norms = [float(np.sqrt((centred**2).sum())) for centred in (a, b)]
    scales = [float(np.abs(values).max()) * values.size**0.5 for values in (left, right)]
    if any(norm <= 1e-12 * scale for norm, scale in zip(norms, scales, strict=True)):
        return 0.0
    return float(np.clip((a * b).sum() / (norms[0] * norms[1]), -1.0, 1.0))
