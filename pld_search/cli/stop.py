"""`stop STUDY`: asks a running coordinator to checkpoint every run and end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.app.study_requests import ask_to_stop, wait_for_end
from pld_search.cli.options import MachineFile, Runs, StudyName
from pld_search.cli.output import say

Now = Annotated[bool, typer.Option("--now", help="Kill the runs; they lose the steps after their last checkpoint.")]


def stop(study: StudyName, now: Now = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Stop a running study, after checkpoints.

    Every run checkpoints and ends, and its coordinator with them.
    Waits until it has ended. The same `run` command goes on.
    """
    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    holder = ask_to_stop(folder, now=now)
    if holder is None:
        say(f"nothing runs {folder.name}")
        return
    say(f"asked {holder} to stop {folder.name}")
    wait_for_end(folder, holder, now=now)
    say(f"{folder.name} has stopped; the same `run` command goes on")
