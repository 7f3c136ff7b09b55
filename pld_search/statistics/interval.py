"""The simultaneous interval of one difference, with two sources of noise: seeds and documents.

Let V_s be the estimated variance of the difference over seeds (v_s degrees of freedom) and V_t the variance over
documents (v_t). The half-width is

    sqrt(c(v_s)^2 V_s + c(v_t)^2 V_t)

with c Dunnett's critical value. Without documents it is exact. With documents it is the interval of Cochran (1964),
Approximate significance levels of the Behrens-Fisher test, Biometrics 20, 191-195, in quadrature (Graybill and Wang
1980). It is slightly wider than needed. Unlike Satterthwaite's interval, it never shrinks when a variance estimated
from few seeds happens to be small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.blocked import Variance
from pld_search.statistics.scipy_functions import brentq
from pld_search.statistics.simultaneous import (
    HALF,
    critical_value,
    equivalence_critical_value,
    p_of_maximum,
    rounded_down,
)

_LEAST_P = 1e-9


@dataclass(frozen=True, slots=True)
class SimultaneousInterval:
    """The width of a difference's interval. `family` rows share the critical value; `alpha` is their common error.

    `seeds` is the variance of the difference over seeds, `text` the variance over documents, which more seeds do not
    reduce. `rho` is the correlation of two differences of the family.
    """

    seeds: Variance
    text: Variance | None
    family: int
    alpha: float
    rho: float = HALF

    @property
    def variance(self) -> float:
        """The variance of the difference over seeds and documents together."""
        return self.seeds.value + (0.0 if self.text is None else self.text.value)

    def half_width(self, scale: float = 1.0) -> float:
        """Returns half of the interval that decides better and worse, for an estimated deviation `scale` times as
        large.
        """
        return float(self.half_widths(np.array([scale]))[0])

    def equivalence_half_width(self, scale: float = 1.0) -> float:
        """Returns half of the interval that has to lie inside the margins for `equal`."""
        return float(self.equivalence_half_widths(np.array([scale]))[0])

    def half_widths(self, scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns `half_width` for an array of scales."""
        return self._combined(scales, [critical_value(self.family, v, self.alpha, self.rho) for v in self._freedoms()])

    def equivalence_half_widths(self, scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns `equivalence_half_width` for an array of scales."""
        criticals = [equivalence_critical_value(self.family, v, self.alpha, self.rho) for v in self._freedoms()]
        return self._combined(scales, criticals)

    def p(self, difference: float) -> float:
        """Returns the smallest family error at which the interval of `difference` excludes 0, at least 1e-9."""
        if self.text is None:
            ratio = difference / math.sqrt(self.seeds.value)
            return p_of_maximum(ratio, self.family, rounded_down(self.seeds.freedom), self.rho)

        def beyond(logarithm: float) -> float:
            return replace(self, alpha=math.exp(logarithm)).half_width() - abs(difference)

        low, high = math.log(_LEAST_P), math.log(1 - _LEAST_P)
        if beyond(low) <= 0 or beyond(high) >= 0:
            return _LEAST_P if beyond(low) <= 0 else 1.0
        return math.exp(brentq(beyond, low, high, xtol=1e-6))

    def with_seeds(self, now: int, then: int) -> SimultaneousInterval:
        """Returns the interval with `then` seeds instead of `now` and the same spread of a run; both are at least 2."""
        freedom = self.seeds.freedom * (then - 1) / (now - 1)
        return replace(self, seeds=Variance(self.seeds.value * now / then, freedom))

    def _freedoms(self) -> list[float]:
        return [rounded_down(part.freedom) for part in (self.seeds, self.text) if part is not None]

    def _combined(self, scales: NDArray[np.float64], criticals: list[float]) -> NDArray[np.float64]:
        text = 0.0 if self.text is None else criticals[1] ** 2 * self.text.value
        return np.sqrt(criticals[0] ** 2 * self.seeds.value * scales**2 + text)
