"""`stop STUDY`: ask a running coordinator to checkpoint every run and end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pld_search.cli.options import MachineFile, Runs, StudyName
from pld_search.cli.output import say

if TYPE_CHECKING:
    from pld_search.search.coordinator_lock import Holder

Now = Annotated[bool, typer.Option("--now", help="Kill the runs; they lose what came after their last checkpoint.")]
POLL = 0.2
PATIENCE = 10.0  # seconds in which a coordinator answers a request to end now, before it is killed itself


def stop(study: StudyName, now: Now = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Stop a running study, after checkpoints.

    Every run checkpoints and ends, and its coordinator with them.
    Waits until it has ended. The same `run` command goes on.
    """
    from pld_search.app.machine_setup import machine_of
    from pld_search.app.study_folders import study_folder
    from pld_search.search.coordinator_lock import holder_of
    from pld_search.search.requests import request

    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    holder = holder_of(folder)
    if holder is None:
        say(f"nothing runs {folder.name}")
        return
    request(folder, "stop", now=now)
    say(f"asked {holder} to stop {folder.name}")
    _wait(folder, holder, PATIENCE if now else None)
    say(f"{folder.name} has stopped; the same `run` command goes on")


def _wait(folder: Path, holder: Holder, patience: float | None) -> None:
    """Until the coordinator has ended; one of this machine that does not answer within `patience` seconds is killed."""
    from pld_search.records.processes import host
    from pld_search.search.coordinator_lock import holder_of
    from pld_search.search.process import end_survivor

    begun = time.monotonic()
    while holder_of(folder) == holder:
        if patience is not None and time.monotonic() - begun > patience and holder.host == host():
            end_survivor(holder.pid, holder.process_started)  # its runs die with it
        time.sleep(POLL)
