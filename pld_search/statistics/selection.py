"""The bias of the best of n values, and the shrinkage that corrects it.

Model. A trial's true value is theta_i ~ N(mu, tau^2) and one run shows y_i = theta_i + e_i, e_i ~ N(0, sigma^2). The
best of n observed values is better than its own true value by

    E[bias] = sigma^2 / sqrt(sigma^2 + tau^2) * m(n),

m(n) the expected maximum of n standard normal numbers (Teichroew 1956, Ann. Math. Stat. 27; 1.27 for six). Given its
value,

    E[theta_i | y_i] = mu + tau^2 / (tau^2 + sigma^2) (y_i - mu),

with mu and tau^2 estimated from all trials (Efron and Morris 1973, Stein's estimation rule and its competitors, JASA
68). Under the model this holds for the chosen trial as for any other trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pld_search.statistics.scipy_functions import log_ndtr
from pld_search.statistics.spread import Spread, refuse_unless_finite


@dataclass(frozen=True, slots=True)
class Shrunken:
    """One of `trials` values: as observed, and its expected true value given all of them.

    `kept` is the share tau^2 / (tau^2 + sigma^2) of its distance from the mean that is kept, 0 .. 1; `sd` is the
    deviation of its true value given the data.
    """

    observed: float
    expected: float
    kept: float
    sd: float
    trials: int

    @property
    def bias(self) -> float:
        """The bias of the observed value towards better: negative for a loss, positive for a score."""
        return self.observed - self.expected


def expected_maximum(n: int) -> float:
    """Returns the expected maximum of n >= 1 independent standard normal numbers, by integration of n x phi(x)
    Phi(x)^(n-1).
    """
    if n < 1:
        raise ValueError(f"at least one number is needed, got {n}")
    x = np.linspace(-12, 12, 2401)
    density = np.exp(math.log(n) - x**2 / 2 + (n - 1) * log_ndtr(x)) / math.sqrt(2 * math.pi)
    return float((x * density).sum() * (x[1] - x[0]))


def bias_of_best(n: int, noise_sd: float, spread_sd: float) -> float:
    """Returns by how much the best of n observed values is better than its true value, in the unit of the deviations.

    `noise_sd` is the deviation of one value over seeds, `spread_sd` the deviation of the true values over trials.
    """
    refuse_unless_finite([noise_sd, spread_sd], "a deviation")
    if noise_sd < 0 or spread_sd < 0:
        raise ValueError(f"deviations are not negative, got {noise_sd} and {spread_sd}")
    total = math.hypot(noise_sd, spread_sd)
    return 0.0 if total == 0 else noise_sd**2 / total * expected_maximum(n)


def shrunken(values: Sequence[float], noise_sd: float) -> tuple[Shrunken, ...]:
    """Returns the values of at least two trials with their shrinkage, in their order.

    `noise_sd` > 0 is the deviation of one of these values over seeds. tau^2 is the variance of the values less the
    noise, at least 0: trials that differ no more than seeds are shrunk to their mean.
    """
    refuse_unless_finite([*values, noise_sd], "a selection")
    spread = Spread.of(values)
    if spread.sd is None or noise_sd <= 0:
        raise ValueError(f"two trials and a deviation above 0 are needed, got {len(values)} and {noise_sd}")
    between = max(0.0, spread.sd**2 - noise_sd**2)
    kept = between / (between + noise_sd**2)
    deviation = math.sqrt(kept * noise_sd**2 + (1 - kept) ** 2 * (between + noise_sd**2) / spread.n)
    return tuple(
        Shrunken(value, spread.mean + kept * (value - spread.mean), kept, deviation, spread.n) for value in values
    )
