"""The worth of continuing a run for its FLOPs, when the run may stop after each look: an index that compares runs at
different stages with new runs.

A run is seen at its next rungs and at its end. Each look has a cost, and moves the mean of its configuration's end by a
normal step of known deviation. After the last look the run is worth the amount by which its mean lies below the best
mean. The index of a run is the largest ratio, over all ways to stop early, of the expected improvement to the expected
cost (Gittins 1979, J. R. Stat. Soc. B 41:148; for Bayesian optimization with costs Xie et al. 2024, arXiv:2406.20062).
For a run with one look the index is the expected improvement per FLOP.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pld_search.search.gaussian_process import expected_improvement

Floats = NDArray[np.float64]
_POINTS = 33
_REACH = 5.0
"""The grid of means reaches this many standard deviations to either side."""
_HALVINGS = 12
_STEPS = ndtri((np.arange(9) + 0.5) / 9)
_STEPS = _STEPS / _STEPS.std()
"""Equally likely steps of a normal variable of deviation 1. Quantiles suit a value function with a kink at the stopping
point.
"""
_TINY = 1e-12


def worth(best: float, means: Floats, moves: Floats, costs: Floats) -> Floats:
    """Returns the index (n,) of n runs with the same looks ahead. means: (n,) of their ends; moves: (n, looks), the
    standard deviation of the mean's step at each look; costs: (n, looks) of each look, above 0; best: the least mean of
    all. Less is better.
    """
    whole = np.sqrt((moves**2).sum(axis=1)) + _TINY
    grid = means[:, None] + _REACH * whole[:, None] * np.linspace(-1, 1, _POINTS)
    low = np.zeros(len(means))
    high = expected_improvement(means, whole, best) / costs.min(axis=1) + _TINY
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _gain(best, grid, moves, costs * middle[:, None]) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2)


def _gain(best: float, grid: Floats, moves: Floats, prices: Floats) -> Floats:
    """Returns the worth (n,) of the first look at the middle of each grid, with optimal stopping after later looks."""
    last = moves.shape[1] - 1
    value = expected_improvement(grid, moves[:, last, None] + _TINY, best) - prices[:, last, None]
    first, step = grid[:, :1, None], (grid[:, 1] - grid[:, 0])[:, None, None]
    for look in reversed(range(last)):
        value = np.maximum(value, 0.0)
        place = np.clip((grid[:, :, None] + moves[:, look, None, None] * _STEPS - first) / step, 0, _POINTS - 1 - 1e-9)
        left = place.astype(int)
        flat, part = left.reshape(len(grid), -1), place - left
        lower = np.take_along_axis(value, flat, 1).reshape(left.shape)
        upper = np.take_along_axis(value, flat + 1, 1).reshape(left.shape)
        value = (lower + part * (upper - lower)).mean(axis=-1) - prices[:, look, None]
    return np.asarray(value[:, _POINTS // 2])
