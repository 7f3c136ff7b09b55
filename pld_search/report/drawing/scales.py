"""Scales: map a number to a position on an axis, and choose the numbers at an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_STEPS = (1, 2, 2.5, 5, 10)
_OUTSIDE = 2.5


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps numbers from `low` to `high` to positions from `start` to `end`; `log`: equal ratios have equal lengths."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Returns the position of a number, also outside of the axis."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def within(self, value: float) -> float:
        """Returns the position of a number; for a number outside, the nearest end of the axis."""
        return self.at(min(max(value, self.low), self.high))

    def ticks(self, most: int = 5) -> list[float]:
        """Returns round numbers on the axis, at most about `most`."""
        return _log_ticks(self.low, self.high, most) if self.log else _ticks(self.low, self.high, most)


def around(values: Iterable[float], margin: float = 0.08) -> tuple[float, float]:
    """Returns the least and the greatest value with a margin; a range around a single value."""
    values = list(values)
    low, high = min(values), max(values)
    room = (high - low) * margin or abs(low) * margin or 1.0
    return low - room, high + room


def limit_of(values: Sequence[float], declared: Sequence[float] = ()) -> float:
    """Returns the end of an axis of losses: a few distant values would compress the rest. `declared` values stay
    inside.
    """
    ordered = sorted(values)
    middle, least = ordered[len(ordered) // 2], ordered[0]
    reach = max([least + _OUTSIDE * (middle - least), *declared])
    return max(value for value in ordered if value <= reach)


def _ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in _STEPS if each * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + index) * step, 12) for index in range(count)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= most + 1:
            break
    return found if len(found) > 1 else [low, high]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Returns the numbers at an axis, with the fewest digits that distinguish them."""
    sizes = [abs(value) for value in ticks if value]
    if sizes and (max(sizes) >= 1e6 or max(sizes) < 1e-3 or (max(sizes) > 30 * min(sizes) and min(ticks) > 0)):
        rough = [f"{value:,.10g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.3g}" for value in ticks]
        return [text.replace("e-0", "e-").replace("e+0", "e").replace("-", "−") for text in rough]
    apart = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
    texts: list[str] = []
    for digits in range(7):
        texts = [f"{value:,.{digits}f}" for value in ticks]
        if all(abs(round(value, digits) - value) <= apart / 1000 for value in ticks):
            break
    return [text.replace("-", "−") for text in texts]
