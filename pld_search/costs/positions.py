"""The number of positions that a run reads. Each step has its own number of sequences and its own length."""

from __future__ import annotations

from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.experiment import Batch, Data


def positions_read(data: Data, batch: Batch, steps: int) -> int:
    """Returns the positions that a run of `steps` steps reads: the sum of sequences x length over its steps."""
    lengths, sizes = data.lengths_at(steps), batch.sizes_at(steps)
    begins = tuple(sorted({*lengths.begins, *sizes.begins}))
    counts = tuple(lengths.before(begin) * sizes.before(begin) for begin in begins)
    return StagesAt(begins, counts).sum(steps)
