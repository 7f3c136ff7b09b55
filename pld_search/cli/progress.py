"""Shows the progress of a study as an observer that reads its files: a live table on a terminal, else a line for each
change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pld_search.app.standing_text import News, summary
from pld_search.app.study_status import Reader, Standing
from pld_search.cli.output import console
from pld_search.cli.status_table import table
from pld_search.errors import PldSearchError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

INTERVAL = 0.5  # seconds between two looks at the files


class Progress:
    """The observer that `run` and `demo` pass to the coordinator. `notice` reads the files at most twice a second; no
    method raises.
    """

    def __init__(
        self, file: IO[str] | None = None, clock: Callable[[], float] = time.time, live: bool | None = None
    ) -> None:

        self._console: Console = console(file)
        self._clock, self._reader = clock, Reader(clock)
        self._wanted = self._console.is_terminal if live is None else live
        self._live: Live | None = None
        self._looked = 0.0
        self._news = News()

    def notice(self, folder: Path) -> None:
        """Shows changes in the study's files, unless the last look was just before."""
        if self._clock() - self._looked >= INTERVAL:
            self._show(folder)

    def close(self, folder: Path) -> None:
        """Shows the last state when the coordinator ends, and leaves it on the screen."""
        self._show(folder)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, text: str) -> None:
        """Prints a line that belongs to no run, for example on data preparation or an unreachable tracker."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, folder: Path) -> None:
        self._looked = self._clock()
        try:
            standings = self._reader.read(folder)
        except (OSError, PldSearchError):  # the coordinator reports broken records; the display skips them
            return
        if self._wanted:
            self._draw(standings)
        else:
            for line in self._news.since(standings, self._reader.whole(standings)):
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, standings: list[Standing]) -> None:
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        whole = Text(summary(self._reader.whole(standings)), no_wrap=True, overflow="ellipsis")
        self._live.update(Group(whole, table(standings, self._console.width)))
