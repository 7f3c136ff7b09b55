"""The power of a design before it is run: the effect that it can detect, and the seeds that an effect needs.

A difference with true value delta and variance V_s over seeds (v degrees of freedom) and V_t over documents is called
better or worse if its estimate exceeds the half-width h(x) of its interval. x is the ratio of the estimated to the true
deviation over seeds, with the distribution of sqrt(chi^2_v / v):

    power = E_x [ Phi((delta - h(x)) / sqrt(V_s + V_t)) + Phi((-delta - h(x)) / sqrt(V_s + V_t)) ].

Without documents this is the noncentral t distribution (Johnson and Welch 1940). A difference is called equal within d
if its estimate lies within d - h'(x) of zero; this probability is integrated over x in the same way (Phillips 1990,
Power of the two one-sided tests procedure in bioequivalence, J. Pharmacokinet. Biopharm. 18).

Seeds may be bought look by look (`seeds_after`). Each look spends alpha / looks of the error of all verdicts
(Bonferroni), declared before the first look. A row that is decided at a look stays decided. Before the next look each
undecided row gets the seeds that would decide it if its estimates were true, and the reference gets as many as the
largest row. A row that no affordable number of seeds would decide gets none, because more seeds would not help.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from pld_search.statistics.blocked import SUSPECTED, Variance
from pld_search.statistics.interval import SimultaneousInterval
from pld_search.statistics.scipy_functions import brentq, chdtri, ndtr
from pld_search.statistics.simultaneous import deviations
from pld_search.statistics.spread import refuse_unless_finite

POWER = 0.8
_MOST_SEEDS = 1000
_FAR = 1e6


@dataclass(frozen=True, slots=True)
class Design:
    """A comparison of `systems` rows (the reference among them) over `seeds` common seeds each.

    `sd` is the deviation of one run over seeds and `rho` the correlation of runs with one seed, so the residual after
    blocking has deviation sd sqrt(1 - rho); a known residual is given as `sd` with rho 0. `text` is the variance of a
    difference over documents, which more seeds do not reduce. `other` rows have another architecture than the reference
    and are judged by their own pairs; the remaining rows share one residual. `looks` is the number of declared looks.
    """

    systems: int
    seeds: int
    sd: float
    rho: float = 0.0
    text: float = 0.0
    other: int = 0
    alpha: float = 0.05
    looks: int = 1

    def __post_init__(self) -> None:
        refuse_unless_finite([self.sd, self.rho, self.text, self.alpha], "a design")
        if self.systems < 2 or not 0 <= self.other < self.systems or self.looks < 1:
            raise ValueError("a design needs two systems, 0 <= other < systems and at least one look")
        if not (self.sd > 0 and 0 <= self.rho < 1 and self.text >= 0 and 0 < self.alpha < 1):
            raise ValueError("a design needs sd > 0, 0 <= rho < 1, text >= 0 and 0 < alpha < 1")

    @property
    def residual(self) -> float:
        """The deviation of a run after its seed's effect is removed."""
        return self.sd * math.sqrt(1 - self.rho)

    @property
    def alike(self) -> int:
        """The number of rows that share the reference's residual, without the reference."""
        return self.systems - 1 - self.other

    def interval(self, own: bool = False) -> SimultaneousInterval | None:
        """Returns the interval of one difference, for a row with its `own` spread or a pooled one; None with one seed.

        Alpha is divided by the number of looks, and then evenly over all differences. Rows that share a residual add up
        their parts and use Dunnett's value; a row with its own spread has only its part.
        """
        family = 1 if own else self.alike
        freedom = (self.seeds - 1) * family
        if freedom < 1:
            return None
        text = Variance(self.text, math.inf) if self.text else None
        alpha = self.alpha / self.looks * family / (self.systems - 1)
        return SimultaneousInterval(Variance(2 * self.residual**2 / self.seeds, freedom), text, family, alpha)


def power_of_difference(effect: float, interval: SimultaneousInterval) -> float:
    """Returns P(better or worse) for a true difference `effect`, taking the interval's variances as true."""
    scales, weights = deviations(interval.seeds.freedom)
    error = math.sqrt(interval.variance)
    half = interval.half_widths(scales)
    return float(weights @ (ndtr((effect - half) / error) + ndtr((-effect - half) / error)))


def power_of_equivalence(effect: float, margin: float, interval: SimultaneousInterval) -> float:
    """Returns P(equal within `margin`) for a true difference `effect`, taking the interval's variances as true."""
    scales, weights = deviations(interval.seeds.freedom)
    error = math.sqrt(interval.variance)
    room = np.maximum(margin - interval.equivalence_half_widths(scales), 0.0)
    return float(weights @ (ndtr((room - effect) / error) - ndtr((-room - effect) / error)))


def power(design: Design, effect: float, own: bool = False) -> float:
    """Returns P(better or worse) for one row with a true difference `effect`; 0 if no residual is estimated.

    Where three or more rows share a residual, each is tested for a wider spread (`wider_rows`). A suspected row, or a
    row with a suspected reference, counts as not detected here, which costs 5 % of the power.
    """
    refuse_unless_finite([effect], "an effect")
    interval = design.interval(own)
    return 0.0 if interval is None else _probability_unsuspected(design, own) * power_of_difference(effect, interval)


def power_to_show_equal(design: Design, margin: float, effect: float = 0.0, own: bool = False) -> float:
    """Returns P(equal within `margin`) for one row with a true difference `effect`; suspected rows as in `power`."""
    refuse_unless_finite([effect, margin], "a margin")
    interval = design.interval(own)
    return (
        0.0
        if interval is None
        else _probability_unsuspected(design, own) * power_of_equivalence(effect, margin, interval)
    )


def _probability_unsuspected(design: Design, own: bool) -> float:
    """Returns the probability that neither row of a difference is suspected of a wider spread, if all have the same."""
    return 1.0 if own or design.alike < 2 else (1 - SUSPECTED) ** 2


def detectable(design: Design, power_wanted: float = POWER, own: bool = False) -> float | None:
    """Returns the smallest true difference detected with `power_wanted`, in the unit of `sd`; None with one seed."""
    if not design.alpha < power_wanted < 0.95:
        raise ValueError(f"the power wanted lies between alpha and 95 %, got {power_wanted}")
    interval = design.interval(own)
    if interval is None:
        return None
    error = math.sqrt(interval.variance)
    return brentq(lambda effect: power(design, effect, own) - power_wanted, 0.0, _FAR * error, xtol=1e-9 * error)


def detectable_between(
    design: Design,
    freedom: float,
    power_wanted: float = POWER,
    own: bool = False,
    confidence: float = 0.9,
) -> tuple[float, float] | None:
    """Returns `detectable` at both ends of the interval of a spread that a pilot estimated with `freedom` degrees of
    freedom.

    The ends are sd sqrt(v / chi^2_v): the true deviation lies between them with probability `confidence`.
    """
    if not freedom > 0 or not 0 < confidence < 1:
        raise ValueError(f"freedom > 0 and 0 < confidence < 1 are needed, got {freedom} and {confidence}")
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        stretched = design.sd * math.sqrt(freedom / chdtri(freedom, tail))
        found = detectable(replace(design, sd=stretched), power_wanted, own)
        if found is None:
            return None
        ends.append(found)
    return ends[0], ends[1]


def seeds_needed(
    design: Design,
    effect: float,
    power_wanted: float = POWER,
    own: bool = False,
    most: int = _MOST_SEEDS,
) -> int | None:
    """Returns the smallest number of seeds that detects `effect` with `power_wanted`; None if `most` seeds do not."""
    return least_number(lambda n: power(replace(design, seeds=n), effect, own) >= power_wanted, 2, most)


def least_number(holds: Callable[[int], bool], least: int, most: int) -> int | None:
    """Returns the smallest whole number in [least, most] for which the monotone `holds` is true; None if there is
    none.
    """
    if least > most or not holds(most):
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class RowSeeds:
    """A row's state at a look: the seeds in common with the reference, and how many more would decide it (None: it is
    decided, or no number within the cap would decide it).
    """

    name: str
    seeds: int
    more: int | None


def seeds_after(rows: Iterable[RowSeeds], reference: str) -> dict[str, int]:
    """Returns the seeds of rows at the next look, with the reference; empty if no more seeds help.

    >>> seeds_after([RowSeeds("pld", 3, 2), RowSeeds("random", 3, None)], "full")
    {'pld': 5, 'full': 5}
    """
    wanted = {row.name: row.seeds + row.more for row in rows if row.more}
    return {**wanted, reference: max(wanted.values())} if wanted else {}
