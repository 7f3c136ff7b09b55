"""The entry of the room: it maps rows -> seed -> value to one judged difference for each row.

    found = compare({"full": {0: 5.1, 1: 5.2, 2: 5.0}, "pld": {...}}, reference="full", margin=0.01)
    for row in found.rows:
        print(row.name, row.difference, row.interval, row.verdict, row.more_seeds())

Division of alpha. Each of the k differences has the part alpha / (looks k). Rows of the reference's architecture share
one residual, add up their parts and use Dunnett's critical value. A row of another architecture is judged by the spread
of its own pairs and by its part alone. The parts add up to alpha, so the probability of any false verdict in the family
is at most alpha. A row whose residuals, or whose reference's residuals, are suspiciously wide (`blocked.wider_rows`)
must also pass by its own spread: its interval is the wider of the two.

Scores. The score of a run is a mean over m fine-tunings, so a mean over n runs has the variance V = between / n +
within / (n m). The spread over seeds estimates both parts together with few degrees of freedom; the fine-tunings
estimate `within` alone with many (scores.py). V is at least its second part (a component `between` below 0 counts as
0), so a row must also pass by this part.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from pld_search.statistics.blocked import BlockedFit, Values, Variance, common_seeds, fit, pairs, welch, wider_rows
from pld_search.statistics.interval import SimultaneousInterval
from pld_search.statistics.power import POWER, least_number, power_of_difference, power_of_equivalence
from pld_search.statistics.simultaneous import HALF
from pld_search.statistics.spread import refuse_unless_finite
from pld_search.statistics.verdict import Verdict, verdict_of, words

LOOKS = 3  # the largest number of declared looks


@dataclass(frozen=True, slots=True)
class Row:
    """One system less the reference, in the unit of the values; intervals are None if no spread is known.

    `seeds` are the seeds of the difference, `spreads` the intervals that it has to pass (the pooled one, the one of its
    own spread, or both; for a score also the one of fine-tuning), `alpha` the error of the whole family over all looks.
    """

    name: str
    difference: float
    seeds: tuple[int, ...]
    spreads: tuple[SimultaneousInterval, ...]
    margin: float | None
    alpha: float
    less_is_better: bool

    @property
    def half_width(self) -> float | None:
        """Half of the simultaneous interval: the smallest difference that would be better or worse."""
        return max((spread.half_width() for spread in self.spreads), default=None)

    @property
    def equivalence_half_width(self) -> float | None:
        """Half of the interval that has to lie inside the margins for `equal`."""
        return max((spread.equivalence_half_width() for spread in self.spreads), default=None)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The simultaneous interval of the difference."""
        half = self.half_width
        return None if half is None else (self.difference - half, self.difference + half)

    @property
    def standard_error(self) -> float | None:
        """The standard error of the difference, from the spread that decides."""
        return None if self._widest is None else math.sqrt(self._widest.variance)

    @property
    def text_share(self) -> float | None:
        """The share of the difference's variance that is due to the documents, 0 .. 1; None without documents."""
        widest = self._widest
        return None if widest is None or widest.text is None else widest.text.value / widest.variance

    @property
    def p(self) -> float | None:
        """P of such a large difference by chance, adjusted for all rows and looks; below alpha for a resolved one."""
        found = [spread.p(self.difference) / spread.alpha for spread in self.spreads]
        return None if not found else min(1.0, max(found) * self.alpha)

    @property
    def verdict(self) -> Verdict:
        """Better, worse, equal or undecided."""
        half, inner = self.half_width, self.equivalence_half_width
        return verdict_of(self.difference, half, inner, self.margin, self.less_is_better)

    @property
    def _widest(self) -> SimultaneousInterval | None:
        return max(self.spreads, key=lambda spread: spread.half_width(), default=None)

    def more_seeds(self, power: float = POWER, most: int = 100) -> int | None:
        """Returns how many more seeds would decide with probability `power` if the estimates of difference and spread
        were true.

        Returns None if the row is decided, if no spread is known, or if `most` more seeds would not decide: the
        difference is too small for a verdict and there is no margin, or the documents' part alone is too wide.
        """
        if self.verdict is not Verdict.UNDECIDED or not self.spreads:
            return None
        now = len(self.seeds)
        return least_number(lambda more: self._power(now, now + more) >= power, 1, most)

    def _power(self, now: int, then: int) -> float:
        """Returns the probability of a verdict with `then` seeds: better or worse, or equal, whichever is larger."""
        spreads = [spread.with_seeds(now, then) for spread in self.spreads]
        apart = min(power_of_difference(self.difference, each) for each in spreads)
        if self.margin is None:
            return apart
        equal = (power_of_equivalence(self.difference, self.margin, each) for each in spreads)
        return max(apart, min(equal))

    def text(self, power: float = POWER, most: int = 100) -> str:
        """Returns the verdict in words: `better`, `worse`, `equal within 0.01`, `undecided: 3 more seeds would
        decide`.
        """
        return words(self.verdict, self.margin, self.more_seeds(power, most))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every row against the reference. `residual` is the pooled variance of a run without its seed's effect."""

    reference: str
    rows: tuple[Row, ...]
    residual: Variance | None
    wider: tuple[str, ...]  # rows (or the reference) with a suspected spread of their own
    alpha: float
    looks: int

    def __getitem__(self, name: str) -> Row:
        """Returns the row of a name. Raises KeyError if there is none."""
        return {row.name: row for row in self.rows}[name]


def compare(
    values: Values,
    reference: str,
    *,
    architecture: Mapping[str, Hashable] | None = None,
    documents: Mapping[str, Variance] | None = None,
    fine_tuning: Mapping[str, Variance] | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    looks: int = 1,
    less_is_better: bool = True,
) -> Comparison:
    """Judges every row of `values` (row -> seed -> value at the end of its run) against `reference`.

    `architecture` tells which rows have the same architecture (default: all). Rows of another architecture than the
    reference's are judged by the spread of their own pairs. `documents` adds, for a row, the variance of its difference
    over documents (`bootstrap.document_variance`). `fine_tuning` gives, for a row, the variance of its difference by
    fine-tuning within runs, the least variance that its spread over seeds can have. `margin` > 0 is the difference that
    counts as none, in the values' unit. `alpha` is the error of all verdicts of all `looks` (1 .. 3, declared before
    the first) together.

    `values` should hold only the rows to be judged, because each row widens the intervals of the others. The caller
    leaves out rows that did not finish all their seeds. Raises ValueError for values that are not finite, for a row
    without a seed in common with the reference, and for settings outside their range.
    """
    _refuse(values, reference, margin, alpha, looks)
    names = [row for row in values if row != reference]
    alike = [row for row in values if architecture is None or architecture[row] == architecture[reference]]
    part = alpha / looks / len(names)
    pooled = fit(values, alike, reference) if len(alike) > 1 else None
    wider = wider_rows(values, alike)
    rows = []
    for name in names:
        text = None if documents is None else documents.get(name)
        seeds = common_seeds(values, [name, reference])
        if name in alike:
            assert pooled is not None
            difference, spreads = pooled.differences[name], _pooled_spread(pooled, name, text, part)
            if spreads and wider & {name, reference}:
                spreads += _own_spread(values, name, reference, [row for row in alike if row not in wider], text, part)
        else:
            estimate = pairs(values, name, reference)
            difference, spreads = estimate.value, _spread(estimate.variance, text, 1, part)
        if spreads and fine_tuning is not None:
            spreads += _spread(fine_tuning.get(name), text, 1, part)
        rows.append(Row(name, difference, seeds, spreads, margin, alpha, less_is_better))
    residual = None if pooled is None else pooled.residual
    return Comparison(reference, tuple(rows), residual, tuple(row for row in alike if row in wider), alpha, looks)


def _refuse(values: Values, reference: str, margin: float | None, alpha: float, looks: int) -> None:
    if reference not in values or len(values) < 2:
        given = ", ".join(values) or "none"
        raise ValueError(f"the reference {reference} and at least one other row are needed, got {given}")
    if margin is not None:
        refuse_unless_finite([margin], "a margin")
    if (margin is not None and margin <= 0) or not 0 < alpha < 1 or not 1 <= looks <= LOOKS:
        given = f"{margin}, {alpha} and {looks}"
        raise ValueError(f"margin > 0, 0 < alpha < 1 and 1 .. {LOOKS} looks are needed, got {given}")
    for row, runs in values.items():
        refuse_unless_finite(runs.values(), row)


def _spread(
    variance: Variance | None,
    text: Variance | None,
    family: int,
    part: float,
    rho: float = HALF,
) -> tuple[SimultaneousInterval, ...]:
    return () if variance is None else (SimultaneousInterval(variance, text, family, family * part, rho),)


def _pooled_spread(
    found: BlockedFit, name: str, text: Variance | None, part: float
) -> tuple[SimultaneousInterval, ...]:
    rho = min(HALF, max(0.0, found.least_correlation))  # the smallest correlation is conservative
    return _spread(found.variance(name), text, len(found.differences), part, round(rho, 6))


def _own_spread(
    values: Values,
    name: str,
    reference: str,
    alike: Sequence[str],
    text: Variance | None,
    part: float,
) -> tuple[SimultaneousInterval, ...]:
    """Uses Satterthwaite if one of the two rows is wide; pairs if both are, or if no other rows are left."""
    one_is_wide = (name in alike) != (reference in alike)
    found = welch(values, name, reference, alike) if one_is_wide and len(alike) > 1 else pairs(values, name, reference)
    return _spread(found.variance, text, 1, part)
