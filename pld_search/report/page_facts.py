"""What every section of the page is made of: the study's records, folded and compared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pld_search.records.study_record import StudyView
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.drawing.shapes import Drawing
from pld_search.report.html_markup import Markup
from pld_search.report.leading_row import leader
from pld_search.report.run_rows import Row, rows
from pld_search.report.study_summary import Summary, summary

MOST_SAMPLED = 120
"""Sampled rows in tables and pictures, so that the page stays under a megabyte, however long the search."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The records of a study (`view`), its facts (`about`), a row a system and sampled trial (`table`), a row a run
    (`runs`).
    """

    view: StudyView
    about: Summary
    table: list[SystemRow]
    runs: list[Row]

    @classmethod
    def of(cls, view: StudyView) -> PageFacts:
        """Fold and compare the records."""
        return cls(view, summary(view), comparison(view), rows(view))

    @property
    def standing(self) -> list[SystemRow]:
        """The rows that speak for themselves: the declared ones, and a sampled one that fresh seeds confirm."""
        return [row for row in self.table if self.stands(row)]

    def stands(self, row: SystemRow) -> bool:
        """Whether a row is one of `standing`."""
        return row.system is not None or row.confirmed

    @property
    def shown(self) -> list[SystemRow]:
        """The rows that tables and pictures have room for: every declared one, and the best sampled ones."""
        return [*self.systems, *self.sampled[:MOST_SAMPLED]]

    @property
    def left_out(self) -> str:
        """That further sampled rows stand in report.csv alone; empty where all are shown."""
        left = len(self.sampled) - MOST_SAMPLED
        return f"{left:,} more sampled rows stand in report.csv." if left > 0 else ""

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.view.folder

    @property
    def reference(self) -> SystemRow | None:
        """The row that differences are to; None where the study names none, or it was not asked for yet."""
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
    """A part of the page: its anchor, its title, and what gives its content (None: the section is left out).

    `pictures` gives those of its pictures that `report --pdf` prints, too; `folded`: closed until a reader opens it.
    """

    key: str
    title: str
    body: Callable[[PageFacts], Markup | None]
    pictures: Callable[[PageFacts], list[Drawing]] | None = None
    folded: bool = False
