"""Downstream scores: the sources of their variance, their stability, and an average that is robust to outliers.

`components` splits the variance of scores into a part between pre-training runs and a part within a run, between
fine-tuning seeds. It uses the random model y_ij = mu + run_i + e_ij with m_i fine-tunings of run i, by the analysis of
variance (Searle, Casella and McCulloch 1992, Variance Components, section 3.6, for unequal m_i).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.spread import refuse_unless_finite


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a score between pre-training runs and within one, with the degrees of freedom of their mean squares.

    `between` is None with one run, `within` None if no run has two fine-tunings. An estimate below 0 is given as 0.
    """

    mean: float
    between: float | None
    within: float | None
    between_freedom: int
    within_freedom: int

    def variance_of_mean(self, runs: int, fine_tunings: float) -> float | None:
        """Returns the variance of a row's mean over `runs` pre-training runs with `fine_tunings` each (their mean
        number, if they differ); None if unknown.
        """
        if self.between is None or self.within is None:
            return None
        return self.between / runs + self.within / (runs * fine_tunings)

    def best_fine_tunings(self, run_cost: float, fine_tuning_cost: float) -> float | None:
        """Returns the fine-tunings a run with the least variance for the cost: sqrt(within / between * run cost / own
        cost).

        The rule is two-stage sampling (Cochran 1977, Sampling Techniques, section 10.6). If the result exceeds the
        current number, buy fine-tunings, else runs. It is infinite if runs do not differ, and None if a component is
        unknown.
        """
        if self.between is None or self.within is None:
            return None
        if self.between == 0:
            return math.inf
        return math.sqrt(self.within / self.between * run_cost / fine_tuning_cost)


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """An estimate and its interval."""

    value: float
    low: float
    high: float


def components(scores: Sequence[Sequence[float]]) -> Components:
    """Returns the variance components of `scores`: one list for each pre-training run, one score for each fine-tuning;
    lengths may differ.

    All runs must belong to one row, because rows have different means. Raises ValueError for an empty run and scores
    that are not finite.
    """
    for run in scores:
        refuse_unless_finite(run, "the scores of a run")
    sizes = np.array([len(run) for run in scores])
    refuse_unless_finite(sizes, "the scores")
    total, runs = int(sizes.sum()), len(scores)
    means = np.array([np.mean(run) for run in scores])
    grand = float((sizes * means).sum() / total)
    within_freedom = total - runs
    squares = sum(float(((np.array(run) - mean) ** 2).sum()) for run, mean in zip(scores, means, strict=True))
    within = squares / within_freedom if within_freedom else None
    if runs < 2:
        return Components(grand, None, within, 0, within_freedom)
    between_square = float((sizes * (means - grand) ** 2).sum()) / (runs - 1)
    size = (total - float((sizes**2).sum()) / total) / (runs - 1)
    between = None if within is None else max(0.0, (between_square - within) / size)
    return Components(grand, between, within, runs - 1, within_freedom)


def brown_forsythe(groups: Sequence[Sequence[float]]) -> float | None:
    """Returns P of equal spread over groups (learning rates of one row, or rows), by Brown and Forsythe (1974), JASA
    69, 364-367.

    It is the analysis of variance of distances from the medians. Returns None with fewer than two groups of three
    scores, or if no score differs from its median.
    """
    from scipy.stats import levene  # scipy.stats takes half a second to load, and only fine-tuned studies use it

    for group in groups:
        refuse_unless_finite(group, "the scores of a group")
    usable = [list(group) for group in groups if len(group) > 2]
    if len(usable) < 2 or all(len(set(group)) == 1 for group in usable):
        return None
    return float(levene(*usable, center="median").pvalue)


def interquartile_mean(scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Returns the mean of the middle half: a quarter of the numbers, rounded down, is cut from each end."""
    refuse_unless_finite(np.ravel(scores), "the scores")
    return float(_trimmed(np.ravel(np.asarray(scores, dtype=np.float64))[None])[0])


def interquartile_mean_over_tasks(
    scores: Mapping[str, Sequence[float]], confidence: float = 0.95, draws: int = 4000, seed: int = 0
) -> Bootstrapped:
    """Returns the interquartile mean of all runs of all tasks, with a bootstrap interval that draws runs within tasks.

    Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, arXiv 2108.13264,
    section 4. Scores of different tasks are combined, so they must be on one scale (0 .. 1 or 0 .. 100). The interval
    covers the seeds of these tasks, not the choice of tasks; with few runs it is somewhat too narrow. The same `seed`
    gives the same draws. Raises ValueError without a task, and for scores that are not finite.
    """
    if not scores or not 0 < confidence < 1:
        raise ValueError(f"at least one task and 0 < confidence < 1 are needed, got {len(scores)} and {confidence}")
    for task, runs in scores.items():
        refuse_unless_finite(runs, task)
    generator = np.random.default_rng(seed)
    tasks = [np.array(runs, dtype=np.float64) for runs in scores.values()]
    drawn = np.concatenate([runs[generator.integers(0, len(runs), (draws, len(runs)))] for runs in tasks], axis=1)
    low, high = np.quantile(_trimmed(drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Bootstrapped(interquartile_mean(np.concatenate(tasks)), float(low), float(high))


def _trimmed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean of the middle half of each row."""
    cut = rows.shape[1] // 4
    middle: NDArray[np.float64] = np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(1)
    return middle
