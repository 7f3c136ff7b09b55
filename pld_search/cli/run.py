"""`run FILE`: run a study, or continue one that exists."""

from __future__ import annotations

from typing import Annotated

import typer

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
            "--once", help="Take stock, submit what there is to run, and exit; for cron, with launcher slurm."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run a study, or continue one that exists.

    Finished runs stay, interrupted ones resume from their last checkpoint, none runs twice.
    """
    from pld_search.cli.machine import machine_used
    from pld_search.cli.mirror import ui_line
    from pld_search.cli.running import run_and_show
    from pld_search.cli.studies import study_of

    study = study_of(file, sets)
    with machine_used(machine, sets or (), slots=slots, threads=threads, device=device, runs=runs) as found:
        code = run_and_show(
            study,
            found,
            again="the same command",
            tracking_uri=tracking_uri,
            storage=storage,
            once=once,
            json=json,
            ui=ui_line(study.name, runs, tracking_uri),
        )
    if code:
        raise typer.Exit(code)
