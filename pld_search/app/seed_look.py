"""A look at a study that buys seeds until its rows are decided: the report's verdicts, and what seeds would help."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.study_summary import summary
from pld_search.search.seed_looks import Look
from pld_search.statistics.looks import RowSeeds, seeds_after
from pld_search.statistics.verdict import Verdict


def take_look(folder: Path) -> Look:
    """The verdicts on a study's primary metric as they stand, and the seeds that each trial shall have at the next
    look: of undecided rows that `decide.max_seeds` would decide, and of the reference.
    """
    seen = view(folder)
    table, primary = comparison(seen), str(summary(seen).decide.primary)
    judged = [(row, found) for row in table if (found := row.differences.get(primary)) is not None and found.verdict]
    verdicts = {row.label: str(found.verdict) for row, found in judged}
    standings = [
        RowSeeds(row.label, found.seeds, found.more_seeds if found.verdict is Verdict.UNDECIDED else None)
        for row, found in judged
    ]
    reference = next((row.label for row in table if row.is_reference), "")
    numbers = {row.label: row.trial for row in table}
    return Look(verdicts, {numbers[name]: seeds for name, seeds in seeds_after(standings, reference).items()})
