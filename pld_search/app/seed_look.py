"""Takes a look for `run --until-decided`: the report's verdicts, and the seeds that would decide more rows."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.study_summary import summary
from pld_search.search.seed_looks import Look
from pld_search.statistics.looks import RowSeeds, seeds_after
from pld_search.statistics.verdict import Verdict


def take_look(folder: Path) -> Look:
    """Returns the current verdicts on a study's primary metric, and the seeds of each trial for the next look: for
    undecided rows that `decide.max_seeds` seeds would decide, and for the reference.
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
