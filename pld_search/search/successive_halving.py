"""Decides which trials go on from a rung, as pure functions of the values measured there.

Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934, algorithm 2) decides whenever a slot is free, from
the values that have arrived so far. In the paper a late better trial may be promoted beside an early one, so more than
1/eta of the trials can go on. Here at most floor(n / eta) of n trials go on, so the cost of a search is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def promotable(arrived: Mapping[int, float], promoted: Collection[int], eta: int) -> int | None:
    """Returns the trial of a rung that is promoted next: the best of the top 1/eta that was not promoted yet, while
    fewer than floor(n / eta) trials were.

    arrived: trial -> value (less is better) of all trials judged at the rung, promoted ones included; of equal values
    the older trial comes first.
    """
    quota = len(arrived) // eta
    if len(promoted) >= quota:
        return None
    best = sorted(arrived, key=lambda trial: (arrived[trial], trial))[:quota]
    return next((trial for trial in best if trial not in promoted), None)


def next_promotion(
    rungs: Sequence[Mapping[int, float]], promoted: Sequence[Collection[int]], waiting: Collection[int], eta: int
) -> int | None:
    """Returns the waiting trial to promote now, from the highest rung that has one; None when no trial is due."""
    for arrived, gone in zip(reversed(rungs), reversed(promoted), strict=True):
        found = promotable(arrived, gone, eta)
        if found in waiting:
            return found
    return None


def last_promotion(
    rungs: Sequence[Mapping[int, float]], promoted: Sequence[Collection[int]], waiting: Collection[int]
) -> int | None:
    """When nothing more will arrive, returns the best waiting trial of the lowest rung that promoted none, so that at
    least one trial reaches the end.
    """
    for arrived, gone in zip(rungs, promoted, strict=True):
        there = [trial for trial in arrived if trial in waiting and trial not in gone]
        if there and not gone:
            return min(there, key=lambda trial: (arrived[trial], trial))
    return None
