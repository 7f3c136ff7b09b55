"""The best learning rate of a row, from a quadratic in ln lr over the rates it was trained at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Optimum:
    """A row's rate, the loss in nats that the quadratic has there, and whether it lies at an edge of what was tried."""

    lr: float
    loss: float
    edge: bool


def optimum(losses: Mapping[float, float]) -> Optimum:
    """The vertex of the quadratic through (ln lr, loss), to three digits and never outside the rates tried, at least
    three.

    Where the quadratic opens downwards or its vertex lies outside, the best rate tried is the optimum, at an edge.
    Raises ValueError for fewer than three rates.
    """
    if len(losses) < 3:
        raise ValueError(f"a quadratic needs three rates, there are {len(losses)}")
    rates = sorted(losses)
    x = np.log(rates) - math.log(rates[len(rates) // 2])
    a, b, c = np.polyfit(x, [losses[rate] for rate in rates], 2)
    vertex = -b / (2 * a) if a > 0 else math.inf
    if not x[0] <= vertex <= x[-1]:
        best = min(rates, key=lambda rate: losses[rate])
        return Optimum(best, losses[best], True)
    lr = float(f"{rates[len(rates) // 2] * math.exp(vertex):.3g}")
    return Optimum(lr, float(c - b * b / (4 * a)), False)
