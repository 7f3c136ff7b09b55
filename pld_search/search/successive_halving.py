"""Who goes on from a rung, as pure functions of what was measured there.

Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934, algorithm 2) decides whenever a place is free, by
what has arrived so far. There a late better trial may be promoted beside an early one, so that more than 1/eta go on;
here at most floor(n / eta) of n do, and what a search costs is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def promotable(arrived: Mapping[int, float], promoted: Collection[int], eta: int) -> int | None:
    """The trial of a rung that is promoted next: the best of the top 1/eta that has not been, while fewer than floor(n
    / eta) have.

    arrived: trial -> value (less is better) of all that were judged at the rung, promoted ones included; equal values
    go by age.
    """
    quota = len(arrived) // eta
    if len(promoted) >= quota:
        return None
    best = sorted(arrived, key=lambda trial: (arrived[trial], trial))[:quota]
    return next((trial for trial in best if trial not in promoted), None)


def next_promotion(
    rungs: Sequence[Mapping[int, float]], promoted: Sequence[Collection[int]], waiting: Collection[int], eta: int
) -> int | None:
    """The trial to promote now, from the highest rung that has one; None for nobody. Only those that wait can be."""
    for arrived, gone in zip(reversed(rungs), reversed(promoted), strict=True):
        found = promotable(arrived, gone, eta)
        if found in waiting:
            return found
    return None


def last_promotion(
    rungs: Sequence[Mapping[int, float]], promoted: Sequence[Collection[int]], waiting: Collection[int]
) -> int | None:
    """When nothing more will arrive: the best that waits at the lowest rung which promoted nobody, so that somebody
    reaches the end.
    """
    for arrived, gone in zip(rungs, promoted, strict=True):
        there = [trial for trial in arrived if trial in waiting and trial not in gone]
        if there and not gone:
            return min(there, key=lambda trial: (arrived[trial], trial))
    return None
