"""Summarises many simulated searches: medians with their intervals, ratios, and tables of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Median:
    """The median, its 95 % interval, and both quartiles of values of which some may be infinite (never reached)."""

    value: float
    low: float
    high: float
    lower_quartile: float
    upper_quartile: float


def quantile(values: Sequence[float], share: float) -> float:
    """Returns the least value that at least this share of all does not exceed (no interpolation: some may be
    infinite).
    """
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median_of(values: Sequence[float]) -> Median:
    """Returns the median with an interval of order statistics, which assumes no distribution: the ranks between which a
    median lies in 95 % of samples.
    """
    ordered, n = sorted(values), len(values)
    rank = int(binom.ppf(0.025, n, 0.5))
    low, high = ordered[max(0, rank - 1)], ordered[min(n - 1, n - rank)]
    return Median(quantile(values, 0.5), low, high, quantile(values, 0.25), quantile(values, 0.75))


def ratio_of_medians(costs: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Returns the ratio of the medians with a 95 % bootstrap interval over seeds, which both share."""
    draws = np.random.default_rng(0).integers(len(costs), size=(RESAMPLES, len(costs)))
    found = [quantile([costs[i] for i in draw], 0.5) / quantile([others[i] for i in draw], 0.5) for draw in draws]
    return quantile(costs, 0.5) / quantile(others, 0.5), quantile(found, 0.025), quantile(found, 0.975)


def ratio_of_means(costs: Sequence[float], others: Sequence[float], most: float) -> tuple[float, float, float]:
    """Returns the ratio of the means with a 95 % bootstrap interval over seeds, which both share. A cost counts with
    at most `most`.
    """
    pairs = np.minimum(np.array([costs, others]), most)
    drawn = pairs[:, np.random.default_rng(0).integers(len(costs), size=(RESAMPLES, len(costs)))].mean(axis=2)
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    return float(pairs[0].mean() / pairs[1].mean()), float(low), float(high)


def paired(costs: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Compares seed by seed: the median ratio of `costs` to `others` with its interval, and the numbers of cheaper and
    dearer seeds.
    """
    ratios = [_ratio(one, other) for one, other in zip(costs, others, strict=True)]
    return {
        **asdict(median_of(ratios)),
        "cheaper": sum(ratio < 1 for ratio in ratios),
        "dearer": sum(ratio > 1 for ratio in ratios),
        "of": len(ratios),
    }


def _ratio(one: float, other: float) -> float:
    """Returns the ratio of two costs; two costs that were never reached are equal."""
    if math.isinf(one) or math.isinf(other):
        return 1.0 if one == other else (math.inf if math.isinf(one) else 0.0)
    return one / other


def text_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    """Returns a markdown table of (key, heading) columns, aligned for reading; the first column is left-aligned."""
    cells = [[heading for _, heading in columns], *[[str(row[key]) for key, _ in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [
        "| "
        + " | ".join(_padded(text, width, i) for i, (text, width) in enumerate(zip(line, widths, strict=True)))
        + " |"
        for line in cells
    ]
    rule = (
        "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]])


def _padded(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


def number(value: float, digits: int = 1) -> str:
    """Formats `12.3`; a cost that was never reached is `never`."""
    return "never" if math.isinf(value) else f"{value:.{digits}f}"
