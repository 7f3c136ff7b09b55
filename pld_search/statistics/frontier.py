"""The best row of one group against the best row of another, both chosen by the same runs that are compared.

Let d_i be the true values of the rows of one group and f_j of the other, smaller being better, and [L_ij, U_ij]
simultaneous intervals of all differences d_i - f_j. Then the difference of the two smallest values obeys

    max_j min_i L_ij  <=  min_i d_i - min_j f_j  <=  min_i max_j U_ij,

whichever rows are the smallest. No row is selected, so no selection biases the result (intersection-union; Berger 1982,
Multiparameter hypothesis testing and acceptance sampling, Technometrics 24, 295-300). Each f_j is the reference of its
own comparison (compare.py) with alpha / J, so all intervals hold with 1 - alpha.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from pld_search.statistics.blocked import Values
from pld_search.statistics.compare import compare
from pld_search.statistics.verdict import Verdict


@dataclass(frozen=True, slots=True)
class BestAgainstBest:
    """The best of one group less the best of the other, as observed, and the interval of the true difference; None if
    some spread is not known.
    """

    best: str
    other: str
    difference: float
    interval: tuple[float, float] | None
    verdict: Verdict


def best_against_best(
    values: Values,
    group: Sequence[str],
    others: Sequence[str],
    *,
    architecture: Mapping[str, Hashable] | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    less_is_better: bool = True,
) -> BestAgainstBest:
    """Compares the groups over the seeds that all their rows share; arguments as in `compare`.

    Raises ValueError for an empty group, and when the rows have no seed in common.
    """
    rows = [*group, *others]
    if not group or not others:
        raise ValueError("two groups with at least one row each are needed")
    seeds = sorted(set.intersection(*(set(values[row]) for row in rows)))
    if not seeds:
        raise ValueError(f"these rows have no seeds in common: {', '.join(rows)}")
    sign = 1.0 if less_is_better else -1.0
    signed = {row: {seed: sign * values[row][seed] for seed in seeds} for row in rows}
    means = {row: sum(signed[row].values()) / len(seeds) for row in rows}
    best, other = min(group, key=means.__getitem__), min(others, key=means.__getitem__)
    outer: list[list[tuple[float, float]]] = []  # one list a row of `others`, one interval a row of `group`
    inner: list[list[tuple[float, float]]] = []
    for reference in others:
        judged = {row: signed[row] for row in (reference, *group)}
        found = compare(judged, reference, architecture=architecture, alpha=alpha / len(others))
        for into, widths in ((outer, "half_width"), (inner, "equivalence_half_width")):
            halves = [getattr(found[row], widths) for row in group]
            if None in halves:
                difference = sign * (means[best] - means[other])
                return BestAgainstBest(best, other, difference, None, Verdict.UNDECIDED)
            pairs = zip(group, halves, strict=True)
            into.append([(found[row].difference - half, found[row].difference + half) for row, half in pairs])
    low, high = _between(outer)
    verdict = _verdict((low, high), _between(inner), margin)
    ends = (low, high) if less_is_better else (-high, -low)
    return BestAgainstBest(best, other, sign * (means[best] - means[other]), ends, verdict)


def _between(intervals: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, float]:
    low = max(min(low for low, _ in row) for row in intervals)
    high = min(max(row[index][1] for row in intervals) for index in range(len(intervals[0])))
    return low, high


def _verdict(outer: tuple[float, float], inner: tuple[float, float], margin: float | None) -> Verdict:
    if margin is not None and -margin < inner[0] and inner[1] < margin:
        return Verdict.EQUAL
    if outer[1] < 0:
        return Verdict.BETTER
    return Verdict.WORSE if outer[0] > 0 else Verdict.UNDECIDED
