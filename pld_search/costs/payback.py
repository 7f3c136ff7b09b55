"""From which run at the target size on a search has paid for itself.

What a target run saves is its time at full depth less its time with the schedule, both for the same number of steps.
This counts on the schedule needing no more steps than full depth for the same quality at the target size: nothing but
runs at that size can show it, and the small study only makes it likely. A search is paid back by the first run n with n
x saving >= what it cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Payback:
    """Seconds of slots. `candidate`: whose schedule the saving is of; `runs`: how many target runs are planned."""

    candidate: str
    search_seconds: float
    full_seconds: float
    candidate_seconds: float
    runs: int

    @property
    def saved_seconds(self) -> float:
        """What each target run saves; 0 or less where the candidate is not faster."""
        return self.full_seconds - self.candidate_seconds

    @property
    def from_run(self) -> int | None:
        """The first run after which the search has paid for itself; None: it never does."""
        return max(1, math.ceil(self.search_seconds / self.saved_seconds)) if self.saved_seconds > 0 else None

    @property
    def balance_seconds(self) -> float:
        """What is left after the planned runs: above 0 the search has paid."""
        return self.runs * self.saved_seconds - self.search_seconds


def money(seconds: float, price_per_hour: float | None) -> float | None:
    """The price of so many seconds of a slot; None where no price is known."""
    return None if price_per_hour is None else seconds / _HOUR * price_per_hour
