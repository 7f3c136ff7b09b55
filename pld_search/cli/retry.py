"""`retry STUDY`: a new chance for trials that failed for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.cli.options import MachineFile, Runs, StudyName
from pld_search.cli.output import say

Trial = Annotated[int | None, typer.Option("--trial", metavar="N", min=0, help="Only this trial.")]


def retry(study: StudyName, trial: Trial = None, runs: Runs = None, machine: MachineFile = None) -> None:
    """Give what failed a new chance.

    Failed trials, and runs that were to confirm, go on from their checkpoints.
    A running study takes them up at once, another one when it is run again.
    """
    from pld_search.app.machine_setup import machine_of
    from pld_search.app.study_folders import study_folder
    from pld_search.errors import ConfigError, Problem
    from pld_search.records.study_record import fold_study
    from pld_search.search.coordinator_lock import holder_of
    from pld_search.search.requests import request
    from pld_search.search.run_outcomes import failed_for_good

    found = machine_of(machine, runs=runs)
    folder = study_folder(study, Path(found.runs))
    failed = failed_for_good(fold_study(folder).trials.values(), found.retries)
    if trial is not None and trial not in failed:
        allowed = " | ".join(map(str, failed)) or "none: no trial of this study failed"
        raise ConfigError(Problem("this trial did not fail", ("trial",), allowed=allowed, given=str(trial)))
    if not failed:
        say(f"no trial of {folder.name} failed")
        return
    request(folder, "retry", trial=trial)
    which = ", ".join(map(str, failed if trial is None else [trial]))
    say(
        f"trial {which} of {folder.name} gets a new chance"
        + ("" if holder_of(folder) else " when the study is run again")
    )
