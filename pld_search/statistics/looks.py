"""Seeds bought look by look: which rows get more, and how many, after an undecided look.

The error of all verdicts of all looks is kept by alpha / looks at each (Bonferroni's spending), declared before the
first look; a row that is decided at a look stays decided. Between two looks each undecided row gets the seeds that
would decide it, were its estimates true, and the reference as many as the row with the most. A row that no affordable
number of seeds would decide gets none: more of them would not help.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowSeeds:
    """How a row stands at a look: the seeds it has in common with the reference, and how many more would decide it
    (None: it is decided, or no number within the cap would).
    """

    name: str
    seeds: int
    more: int | None


def seeds_after(rows: Iterable[RowSeeds], reference: str) -> dict[str, int]:
    """The seeds that rows shall have at the next look, the reference among them; empty where nothing helps.

    >>> seeds_after([RowSeeds("pld", 3, 2), RowSeeds("random", 3, None)], "full")
    {'pld': 5, 'full': 5}
    """
    wanted = {row.name: row.seeds + row.more for row in rows if row.more}
    return {**wanted, reference: max(wanted.values())} if wanted else {}
