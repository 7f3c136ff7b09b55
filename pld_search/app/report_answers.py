"""The report's answers about a study for its readers outside the report: a tracker, and `run --until-decided`."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.headline import lines, words
from pld_search.report.study_summary import summary
from pld_search.search.seed_looks import Look
from pld_search.statistics.power import RowSeeds, seeds_after
from pld_search.statistics.verdict import Verdict
from pld_search.tracking.mlflow_content import DIFFERENCE, Answer


def take_look(folder: Path) -> Look:
    """Takes a look for `run --until-decided`: returns the current verdicts on a study's primary metric, and the seeds
    of each trial for the next look: for undecided rows that `decide.max_seeds` seeds would decide, and for the
    reference.
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


def answered(folder: Path) -> Answer:
    """Returns the answers in the form that a tracker shows: the headline, the words of each row's verdict, the winner's
    trial if there is one, and each row's difference to the reference.
    """
    seen = view(folder)
    about, table = summary(seen), comparison(seen)
    won = about.winner.trial if about.winner is not None else None
    primary = str(about.decide.primary)
    figures = {
        row.trial: {DIFFERENCE + primary: row.differences[primary].value} for row in table if primary in row.differences
    }
    return Answer(" ".join(lines(table, about)), words(table, about), won, figures)
