"""`retry STUDY`: retries trials that failed for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.app.study_requests import ask_to_retry
from pld_search.cli.options import MachineFile, Runs, StudyName
from pld_search.cli.output import say
from pld_search.search.coordinator_lock import holder_of

Trial = Annotated[int | None, typer.Option("--trial", metavar="N", min=0, help="Only this trial.")]


def retry(study: StudyName, trial: Trial = None, runs: Runs = None, machine: MachineFile = None) -> None:
    """Run failed trials again.

    Failed trials, and runs that were to confirm, go on from their checkpoints.
    A running study takes them up at once, another one when it is run again.
    """
    found = machine_of(machine, runs=runs)
    folder = study_folder(study, Path(found.runs))
    asked = ask_to_retry(folder, trial, found.retries)
    if not asked:
        say(f"no trial of {folder.name} failed")
        return
    which = ", ".join(map(str, asked))
    say(
        f"trial {which} of {folder.name} is tried again" + ("" if holder_of(folder) else " when the study is run again")
    )
