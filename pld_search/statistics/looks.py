"""Seeds bought look by look: which rows get more seeds after an undecided look, and how many.

Each look spends alpha / looks of the error of all verdicts (Bonferroni), declared before the first look. A row that is
decided at a look stays decided. Before the next look each undecided row gets the seeds that would decide it if its
estimates were true, and the reference gets as many as the largest row. A row that no affordable number of seeds would
decide gets none, because more seeds would not help.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowSeeds:
    """A row's state at a look: the seeds in common with the reference, and how many more would decide it (None: it is
    decided, or no number within the cap would decide it).
    """

    name: str
    seeds: int
    more: int | None


def seeds_after(rows: Iterable[RowSeeds], reference: str) -> dict[str, int]:
    """Returns the seeds of rows at the next look, with the reference; empty if no more seeds help.

    >>> seeds_after([RowSeeds("pld", 3, 2), RowSeeds("random", 3, None)], "full")
    {'pld': 5, 'full': 5}
    """
    wanted = {row.name: row.seeds + row.more for row in rows if row.more}
    return {**wanted, reference: max(wanted.values())} if wanted else {}
