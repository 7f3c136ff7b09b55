"""A process whose parameters are not known: its predictions are averaged over what the values leave possible of them.

Two or three ends leave open how far ends lie apart, and a fit that takes the likeliest answer for the true one is too
sure. What a look moves is asked of the likeliest process, in the proportion of the averaged deviation: a decision looks
at many configurations, and a look at each costs a solution of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.kernel_parameters import FITTED, Parameters, drawn, fitted
from pld_search.search.observed_runs import Floats, Observed, Whole

DRAWS = 16


def possible(seen: Observed, columns: Whole) -> list[Parameters]:
    """The likeliest parameters, and others that are possible; none besides where there are so many values that those
    are known well.
    """
    shares = np.unique(np.append(seen.shares, 1.0))
    likeliest = fitted(seen, columns, shares)
    return [likeliest, *(drawn(seen, columns, shares, DRAWS) if len(seen) <= FITTED else [])]


class AveragedProcess:
    """Processes of the same values; `parameters` are the likeliest and the others that are averaged over."""

    def __init__(self, seen: Observed, columns: Whole, parameters: Sequence[Parameters]) -> None:
        self.likeliest = GaussianProcess(seen, columns, parameters[0])
        others = [GaussianProcess(seen, columns, each) for each in parameters[1:]]
        self._averaged = others or [self.likeliest]

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the end without noise and luck at each of `points` (m, columns)."""
        return self._over(lambda each: each.predict(points))

    def runs_end(self, points: Floats, runs: Whole) -> tuple[Floats, Floats]:
        """Mean and standard deviation of what these `runs` (m,) will measure at their ends, luck and noise included."""
        return self._over(lambda each: each.runs_end(points, runs))

    def looks(self, point: Floats, sd: float, run: int, shares: Sequence[float]) -> Floats:
        """By how much (standard deviation) the mean of a configuration's end, of deviation `sd`, will move when its run
        is seen at each of `shares` (k,), one after the other: (k,).
        """
        likeliest = float(self.likeliest.predict(point[None])[1][0])
        return np.asarray(self.likeliest.looks(point, run, shares) * (sd / likeliest))

    def _over(self, ask: Callable[[GaussianProcess], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
        means, sds = (np.array(each) for each in zip(*(ask(process) for process in self._averaged), strict=True))
        return means.mean(axis=0), np.sqrt((sds**2).mean(axis=0) + means.var(axis=0))
