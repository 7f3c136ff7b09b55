"""A Gaussian process whose predictions are averaged over the posterior of its parameters.

Two or three final values do not determine the spread of final values, so a process with the mode of the parameters is
overconfident. The change of a prediction by a look (an observation at a later rung) is computed with the mode only and
scaled by the averaged deviation, because a decision considers many configurations and each look needs a separate
linear solve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.kernel_parameters import FITTED, Parameters, drawn, fitted
from pld_search.search.observed_runs import Floats, Observed, Whole, shares_of

DRAWS = 16


def possible(seen: Observed, columns: Whole) -> list[Parameters]:
    """Returns the mode of the parameters, then draws from their posterior; no draws when more than FITTED values
    determine the parameters well.
    """
    shares = shares_of(seen)
    likeliest = fitted(seen, columns, shares)
    return [likeliest, *(drawn(seen, columns, shares, DRAWS) if len(seen) <= FITTED else [])]


class AveragedProcess:
    """Processes fitted to the same values. `parameters` are the mode, then the draws to average over."""

    def __init__(self, seen: Observed, columns: Whole, parameters: Sequence[Parameters]) -> None:
        self.likeliest = GaussianProcess(seen, columns, parameters[0])
        others = [GaussianProcess(seen, columns, each) for each in parameters[1:]]
        self._averaged = others or [self.likeliest]

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the end, without noise and luck, at each of `points` (m, columns)."""
        return self._over(lambda each: each.predict(points))

    def runs_end(self, points: Floats, runs: Whole) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the values that `runs` (m,) will measure at their ends, with luck and
        noise.
        """
        return self._over(lambda each: each.runs_end(points, runs))

    def looks(self, point: Floats, sd: float, run: int, shares: Sequence[float]) -> Floats:
        """Returns the standard deviation (k,) of the change in the predicted final value of a configuration, whose
        prediction has the deviation `sd`, when its run is observed at each of `shares` (k,), one after the other.
        """
        likeliest = float(self.likeliest.predict(point[None])[1][0])
        return np.asarray(self.likeliest.looks(point, run, shares) * (sd / likeliest))

    def _over(self, ask: Callable[[GaussianProcess], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
        means, sds = (np.array(each) for each in zip(*(ask(process) for process in self._averaged), strict=True))
        return means.mean(axis=0), np.sqrt((sds**2).mean(axis=0) + means.var(axis=0))
