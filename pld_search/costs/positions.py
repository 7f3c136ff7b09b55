"""How many positions a run reads: each step its own number of sequences, of its own length."""

from __future__ import annotations

from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.experiment import Batch, Data


def positions_read(data: Data, batch: Batch, steps: int) -> int:
    """Tokens of the first `steps` steps of a run of `steps` steps: sequences x length of each, added up."""
    lengths, sizes = data.lengths_at(steps), batch.sizes_at(steps)
    begins = tuple(sorted({*lengths.begins, *sizes.begins}))
    counts = tuple(lengths.before(begin) * sizes.before(begin) for begin in begins)
    return StagesAt(begins, counts).sum(steps)
