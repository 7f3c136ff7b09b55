"""The report's answers about a study, in the form that a tracker shows."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.headline import lines, words
from pld_search.report.study_summary import summary
from pld_search.tracking.mlflow_content import DIFFERENCE, Answer


def answered(folder: Path) -> Answer:
    """Returns the headline, the words of each row's verdict, the winner's trial if there is one, and each row's
    difference to the reference.
    """
    seen = view(folder)
    about, table = summary(seen), comparison(seen)
    won = about.winner.trial if about.winner is not None else None
    primary = str(about.decide.primary)
    figures = {
        row.trial: {DIFFERENCE + primary: row.differences[primary].value} for row in table if primary in row.differences
    }
    return Answer(" ".join(lines(table, about)), words(table, about), won, figures)
