"""The progress of `pld_search.run`: lines for `tell`, and a bar in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pld_search.app.standing_text import News, summary
from pld_search.app.study_status import Reader, Whole
from pld_search.errors import PldSearchError
from pld_search.report.html_markup import join, tag

INTERVAL = 1.0
"""Seconds between two looks at the files."""


class Telling:
    """The observer that `run` passes to the coordinator. `notice` reads the files at most once a second. The only
    exceptions of its methods come from `tell`.
    """

    def __init__(self, tell: Callable[[str], None] | None, clock: Callable[[], float] = time.time) -> None:
        self._tell, self._clock, self._reader, self._news = tell, clock, Reader(clock), News()
        self._show = displayed() if in_notebook() else None
        self._looked = 0.0

    def notice(self, folder: Path) -> None:
        """Reports changes in the study's files, unless the last look was just before."""
        if self._clock() - self._looked >= INTERVAL:
            self._look(folder)

    def close(self, folder: Path) -> None:
        """Reports the last state when the coordinator ends."""
        self._look(folder)

    def _look(self, folder: Path) -> None:
        if self._tell is None and self._show is None:
            return
        self._looked = self._clock()
        try:
            standings = self._reader.read(folder)
            whole = self._reader.whole(standings)
        except (OSError, PldSearchError):  # the coordinator reports broken records
            return
        if self._show is not None:
            self._show(Bar(whole))
        if self._tell is not None:
            for text in self._news.since(standings, whole):
                self._tell(text)


class Bar:
    """The progress of a study as a notebook shows it; plain text where HTML is not shown."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    def __repr__(self) -> str:
        return summary(self._whole)

    def _repr_html_(self) -> str:
        said = summary(self._whole).split(" ")
        share = self._whole.share or 0.0
        done = tag("progress", value=f"{share:.4f}", max="1", style="width:16em;vertical-align:middle")
        words = [word for word in said if not set(word) <= {"━", "╌"}]
        return tag("div", join(done, " ", " ".join(words)))


def in_notebook() -> bool:
    """Whether a notebook kernel runs this process, so that displayed values appear below a cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def displayed() -> Callable[[Any], None]:
    """Returns a function that shows a value below the cell; each further value replaces the one before."""
    display: Any = sys.modules["IPython"].display
    handle: list[Any] = []

    def show(value: Any) -> None:
        if handle:
            handle[0].update(value)
        else:
            handle.append(display.display(value, display_id=True))

    return show
