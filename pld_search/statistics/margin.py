"""Converts a margin in compute to a margin in nats: the loss that the reference gives up with a share less of its
budget.

Near its budget C, the reference's loss falls linearly in ln(budget) (a power law's tangent; Kaplan et al. 2020, Scaling
laws for neural language models, arXiv 2001.08361, equation 1.3). Runs at 0.8, 1 and 1.25 times C, evenly spaced in ln,
share seeds, so the slope is estimated within seeds:

    y_ij = seed_j + b ln(C_i / C) + e_ij,    margin = b ln(1 - share).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pld_search.statistics.spread import quantile, refuse_unless_finite


@dataclass(frozen=True, slots=True)
class Margin:
    """The loss, in nats, that corresponds to `share` of the budget; its standard error is None if nothing estimates
    it.
    """

    nats: float
    share: float
    standard_error: float | None
    freedom: int

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Returns the interval of the margin by Student's t; None without a standard error."""
        if self.standard_error is None:
            return None
        half = quantile(self.freedom, confidence) * self.standard_error
        return self.nats - half, self.nats + half


def margin_of_budget(losses: Mapping[float, Mapping[int, float]], share: float) -> Margin:
    """Returns the margin for `share` (0 < share < 1) of the budget, from `losses`: budget relative to the reference's
    -> seed -> loss.

    At least two budgets must share a seed. Seeds with one budget tell nothing about the slope and are left out. Raises
    ValueError for losses that are not finite, and when the loss does not fall with the budget: then no difference in
    loss corresponds to a difference in compute.
    """
    if not 0 < share < 1 or any(budget <= 0 for budget in losses):
        raise ValueError(f"0 < share < 1 and budgets above 0 are needed, got {share} and {sorted(losses)}")
    seeds = {seed for runs in losses.values() for seed in runs}
    centered: list[tuple[float, float]] = []
    used = 0
    for seed in sorted(seeds):
        points = [(math.log(budget), runs[seed]) for budget, runs in losses.items() if seed in runs]
        refuse_unless_finite([loss for _, loss in points], f"the loss of seed {seed}")
        if len(points) < 2:
            continue
        used += 1
        middle, mean = (sum(column) / len(points) for column in zip(*points, strict=True))
        centered += [(x - middle, y - mean) for x, y in points]
    squares = math.fsum(x * x for x, _ in centered)
    products = math.fsum(x * y for x, y in centered)
    if squares == 0:
        raise ValueError("a margin in compute needs runs of one seed at two budgets")
    slope = products / squares
    if slope >= 0:
        raise ValueError("the reference's loss does not fall with its budget, so compute gives no margin")
    freedom = len(centered) - used - 1
    factor = math.log1p(-share)
    if freedom < 1:
        return Margin(slope * factor, share, None, 0)
    residual = math.fsum((y - slope * x) ** 2 for x, y in centered) / freedom
    return Margin(slope * factor, share, -factor * math.sqrt(residual / squares), freedom)
