"""`status STUDY`: shows how a study stands, live on a terminal and once elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pld_search.app.machine_setup import machine_of
from pld_search.app.standing_text import failure, summary
from pld_search.app.study_folders import study_folder
from pld_search.app.study_status import Reader, Standing, state_of_study, status_facts
from pld_search.cli.options import Json, MachineFile, Runs, StudyName
from pld_search.cli.output import console, emit
from pld_search.cli.status_table import table
from pld_search.records.study_record import StudyRecord
from pld_search.report.number_text import compact
from pld_search.search.coordinator_lock import Holder, holder_of

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERVAL = 1.0


def status(study: StudyName, json: Json = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Show the status of a study and of its runs.

    A live table until its coordinator ends, or Ctrl-C.
    Once, where the output is no terminal. Nothing is changed, on whichever machine the study runs.
    """
    found = machine_of(machine, runs=runs)
    folder, reader, out = study_folder(study, Path(found.runs)), Reader(retries=found.retries), console()
    if json:
        standings = reader.read(folder)
        emit(status_facts(reader, standings, holder_of(folder)))
    elif out.is_terminal and holder_of(folder) is not None:
        _live(folder, reader)
    else:
        out.print(shown(reader, reader.read(folder), holder_of(folder), out.width))


def _live(folder: Path, reader: Reader) -> None:
    from rich.live import Live

    with suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            holder = holder_of(folder)
            live.update(shown(reader, reader.read(folder), holder, live.console.width), refresh=True)
            if holder is None:
                return
            time.sleep(INTERVAL)


def shown(reader: Reader, standings: list[Standing], holder: Holder | None, width: int) -> RenderableType:
    """Returns a line on the study, the table of its runs, and the last log lines of failed runs."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        *(Text(line) for line in _head(reader, holder)),
        Text(summary(reader.whole(standings))),
        table(standings, width),
        *(Text(line) for line in _failures(reader, standings)),
    )


def _head(reader: Reader, holder: Holder | None) -> Iterator[str]:
    name = reader.record.name
    yield f"{name}: {state_of_study(reader, holder)}" + (f" by {holder}" if holder is not None else "")
    if reader.record.storage_away is not None:
        yield f"Optuna's storage is away, nothing new is asked until it is back: {reader.record.storage_away}"
    yield from _left_over(reader.record)


def _left_over(study: StudyRecord) -> Iterator[str]:
    """Yields the possible gain of more trials and its price; nothing before the search's model was assessed."""
    left = study.assessed
    if left is None:
        return
    price = "" if left.tflop is None else f" for {compact(left.tflop)} TFLOP"
    yield (
        f"the best there is may lie {left.expected:.3g} beyond the recommended one (expected); the next trial gains "
        f"{left.gain:.2g} on average{price}"
    )
    if left.confidence is not None:
        end = "so nothing more is asked" if left.enough else "the search goes on"
        yield f"at most {left.regret:g} is left with {100 * left.confidence:.0f} % confidence: {end}"


def _failures(reader: Reader, standings: list[Standing]) -> Iterator[str]:

    for run in standings:
        if run.state == "failed":
            yield (
                f"{run.name} seed {run.seed_index} failed after {run.launches} launches: "
                f"{run.reason or 'no reason known'}"
            )
            yield from failure(run)
    if reader.failed:
        yield f"`pld-search retry STUDY` runs trial {', '.join(map(str, reader.failed))} again"
