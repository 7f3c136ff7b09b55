"""The four verdicts on a difference, and the rule that assigns them.

A simultaneous interval of all rows decides. Let d be the estimate, s its standard error, c the critical value of the 95
% simultaneous interval and c' <= c the critical value of the equivalence interval (two one-sided tests, Schuirmann
1987):

    |d| + c' s < margin    equal within the margin
    else |d| > c s         better or worse, by the sign and by whether less is better
    else                   undecided
"""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The four words for a verdict in every report."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    UNDECIDED = "undecided"


def verdict_of(
    difference: float,
    half_width: float | None,
    equivalence_half_width: float | None,
    margin: float | None = None,
    less_is_better: bool = True,
) -> Verdict:
    """Applies the rule above to one row; undecided if no spread is known (a half-width of None)."""
    if half_width is None or equivalence_half_width is None:
        return Verdict.UNDECIDED
    if margin is not None and abs(difference) + equivalence_half_width < margin:
        return Verdict.EQUAL
    if abs(difference) > half_width:
        return Verdict.BETTER if (difference < 0) == less_is_better else Verdict.WORSE
    return Verdict.UNDECIDED


def words(verdict: Verdict, margin: float | None = None, more_seeds: int | None = None) -> str:
    """Returns the verdict as in reports: `better`, `equal within 0.01`, `undecided: 3 more seeds would decide`."""
    if verdict is Verdict.EQUAL and margin is not None:
        return f"equal within {margin:.3g}"
    if verdict is Verdict.UNDECIDED and more_seeds is not None:
        return f"undecided: {more_seeds} more {'seed' if more_seeds == 1 else 'seeds'} would decide"
    return verdict.value
