"""The number of runs at the target size after which a search has paid for itself.

A target run saves its time at full depth less its time with the schedule, both for the same number of steps. This
assumes that the schedule needs no more steps than full depth for the same quality at the target size. Only runs at that
size can show that; the small study only makes it likely. A search is paid back by the first run n with n x saving >=
its cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Payback:
    """Seconds of slots. `candidate`: the system whose schedule saves time; `runs`: how many target runs are planned."""

    candidate: str
    search_seconds: float
    full_seconds: float
    candidate_seconds: float
    runs: int

    @property
    def saved_seconds(self) -> float:
        """The seconds that each target run saves; 0 or less if the candidate is not faster."""
        return self.full_seconds - self.candidate_seconds

    @property
    def from_run(self) -> int | None:
        """The first run after which the search has paid for itself; None if it never does."""
        return max(1, math.ceil(self.search_seconds / self.saved_seconds)) if self.saved_seconds > 0 else None

    @property
    def balance_seconds(self) -> float:
        """The seconds saved by all planned runs less the search; above 0 the search has paid for itself."""
        return self.runs * self.saved_seconds - self.search_seconds


def money(seconds: float, price_per_hour: float | None) -> float | None:
    """Returns the price of this many seconds of a slot; None if no price is known."""
    return None if price_per_hour is None else seconds / _HOUR * price_per_hour
