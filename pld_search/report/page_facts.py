"""The input of every section of the page: the study's records, folded and compared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pld_search.records.study_record import StudyView
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.drawing.svg_shapes import Drawing
from pld_search.report.html_markup import Markup
from pld_search.report.leading_row import leader
from pld_search.report.run_rows import Row, rows
from pld_search.report.study_summary import Summary, summary

MOST_SAMPLED = 120
"""Maximum number of sampled rows in tables and pictures; it keeps the page of a long search under a megabyte."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The records of a study (`view`), its facts (`about`), a row for each system and sampled trial (`table`), and a
    row for each run (`runs`).
    """

    view: StudyView
    about: Summary
    table: list[SystemRow]
    runs: list[Row]

    @classmethod
    def of(cls, view: StudyView) -> PageFacts:
        """Folds and compares the records."""
        return cls(view, summary(view), comparison(view), rows(view))

    @property
    def standing(self) -> list[SystemRow]:
        """The declared rows, and sampled rows that fresh seeds confirm."""
        return [row for row in self.table if self.stands(row)]

    def stands(self, row: SystemRow) -> bool:
        """Whether a row is one of `standing`."""
        return row.system is not None or row.confirmed

    @property
    def shown(self) -> list[SystemRow]:
        """The rows of tables and pictures: every declared row, and the best sampled rows."""
        return [*self.systems, *self.sampled[:MOST_SAMPLED]]

    @property
    def left_out(self) -> str:
        """A sentence on sampled rows that only report.csv lists; empty when all are shown."""
        left = len(self.sampled) - MOST_SAMPLED
        return f"{left:,} more sampled rows stand in report.csv." if left > 0 else ""

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.view.folder

    @property
    def reference(self) -> SystemRow | None:
        """The row to which differences are stated; None when the study names none or has not asked for it yet."""
        return next((row for row in self.table if row.is_reference), None)

    @property
    def best(self) -> SystemRow | None:
        """The row of the winner; None before there is one."""
        return leader(self.table, self.about)

    @property
    def systems(self) -> list[SystemRow]:
        """The rows that the study declares."""
        return [row for row in self.table if row.system is not None]

    @property
    def sampled(self) -> list[SystemRow]:
        """The rows that a search sampled, best first."""
        return [row for row in self.table if row.system is None]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, its title, and a function for its content (None: the section is left out).

    pictures: the pictures that `report --pdf` prints too. folded: whether it is closed until a reader opens it.
    """

    key: str
    title: str
    body: Callable[[PageFacts], Markup | None]
    pictures: Callable[[PageFacts], list[Drawing]] | None = None
    folded: bool = False
