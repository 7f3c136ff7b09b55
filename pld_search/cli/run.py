"""`run FILE`: runs a study, or continues an existing one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_used
from pld_search.app.run_study import INTERRUPTED, Services, conduct
from pld_search.by_name import by_name
from pld_search.cli.options import (
    Device,
    Json,
    MachineFile,
    Runs,
    Sets,
    Slots,
    StorageUrl,
    StudyFile,
    Threads,
    TrackingUri,
)
from pld_search.cli.output import say, ui_line
from pld_search.cli.progress import Progress
from pld_search.errors import NothingFeasible
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine

_COMPARISON = "pld_search.cli.report:print_comparison"  # needed after all runs: no launch waits for its import


def run(
    file: StudyFile,
    sets: Sets = None,
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    runs: Runs = None,
    machine: MachineFile = None,
    storage: StorageUrl = None,
    tracking_uri: TrackingUri = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help=("Update the study, submit the runs that are due, and exit; for cron, with launcher slurm.")
        ),
    ] = False,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Run more seeds of undecided rows while they help: at most three looks and decide.max_seeds a row.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run a study, or continue one that exists.

    Finished runs stay, interrupted ones resume from their last checkpoint, none runs twice.
    """
    study = study_of(file, sets)
    with machine_used(machine, sets or (), slots=slots, threads=threads, device=device, runs=runs) as found:
        code = run_and_show(
            study,
            found,
            Services(tracking_uri, storage),
            again="the same command",
            once=once,
            until_decided=until_decided,
            json=json,
            ui=ui_line(study.name, runs, tracking_uri),
        )
    if code:
        raise typer.Exit(code)


def run_and_show(
    study: Study,
    machine: Machine,
    services: Services,
    *,
    again: str,
    json: bool,
    ui: str,
    once: bool = False,
    until_decided: bool = False,
) -> int:
    """Runs or continues a study in its folder under the machine's runs, then prints comparison, report and next steps.

    again: the command that continues the study. ui: the command that opens MLflow on it. Returns the exit code; raises
    the exceptions of `run_study`.
    """
    folder, progress = Path(machine.runs) / study.name, Progress(sys.stderr if json else None)
    try:
        code = conduct(
            study,
            folder,
            machine,
            services,
            tell=progress.tell,
            observers=[progress],
            once=once,
            until_decided=until_decided,
        )
    except NothingFeasible:
        by_name(_COMPARISON)(folder, json=json)
        raise
    by_name(_COMPARISON)(folder, json=json)
    if code in INTERRUPTED:
        say(f"stopped; every run keeps its last checkpoint. To go on: {again}", aside=True)
    say(f"report:    {folder / 'report.html'}", aside=json)
    say(f"MLflow UI: {ui}", aside=json)
    return code
