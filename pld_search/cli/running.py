"""A study run as a user asks for it: the coordinator with its observers, then the comparison. Shared by `run`, `demo`
and Python's `run`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pld_search.cli.output import emit, say

if TYPE_CHECKING:
    from pld_search.search.coordinator_loop import Observer
    from pld_search.spaces.study import Study
    from pld_search.specs.machine import Machine
    from pld_search.specs.prepared_data import Prepared

INTERRUPTED = (130, 143)


def run_and_show(
    study: Study,
    machine: Machine,
    *,
    again: str,
    tracking_uri: str | None,
    storage: str | None,
    json: bool,
    ui: str,
    once: bool = False,
) -> int:
    """Run or continue a study in its folder under the machine's runs, then print comparison, report and next steps.

    `again` is the command that continues it, `ui` the one that opens MLflow on it. Returns the exit code; raises what
    `run_study` raises.
    """
    import sys

    from pld_search.cli.progress import Progress
    from pld_search.errors import NothingFeasible

    folder, progress = Path(machine.runs) / study.name, Progress(sys.stderr if json else None)
    try:
        code = conduct(
            study,
            folder,
            machine,
            tracking_uri=tracking_uri,
            storage=storage,
            tell=progress.tell,
            observers=[progress],
            once=once,
        )
    except NothingFeasible:
        show(folder, json=json)
        raise
    show(folder, json=json)
    if code in INTERRUPTED:
        say(f"stopped; every run keeps its last checkpoint. To go on: {again}", aside=True)
    say(f"report:    {folder / 'report.html'}", aside=json)
    say(f"MLflow UI: {ui}", aside=json)
    return code


def conduct(
    study: Study,
    folder: Path,
    machine: Machine,
    *,
    tracking_uri: str | None,
    storage: str | None,
    tell: Callable[[str], None],
    observers: Sequence[Observer] = (),
    once: bool = False,
) -> int:
    """The coordinator with the mirror and `observers`, which are looked at first; `tell` hears what belongs to no run.
    Returns the exit code.
    """
    from pld_search.cli.mirror import picture
    from pld_search.report.write_report import write_report
    from pld_search.search.coordinator import run_study
    from pld_search.tracking.mirror import Mirror

    mirror = Mirror(tracking_uri, picture=picture, say=tell)
    environment = dict(os.environ) if storage is None else {**os.environ, "OPTUNA_STORAGE": storage}
    return run_study(
        study,
        folder,
        machine,
        prepare=preparer(machine, tell),
        observers=[*observers, mirror],
        report=_written(write_report),
        environment=environment,
        once=once,
    )


def _written(write: Callable[[Path], Path]) -> Callable[[Path], None]:
    def report(folder: Path) -> None:
        write(folder)

    return report


def preparer(machine: Machine, tell: Callable[[str], None]) -> Callable[[Study], Prepared]:
    """What the coordinator calls to make a study's data ready."""
    from pld_search.cli.preparing import prepare_study

    return lambda study: prepare_study(study, machine, tell)


def show(folder: Path, *, json: bool) -> None:
    """The comparison for people; with `json` the rows of the runs for programs."""
    from pld_search.records.study_record import view
    from pld_search.report.run_rows import rows
    from pld_search.report.terminal import console
    from pld_search.report.terminal import show as print_comparison

    seen = view(folder)
    if json:
        emit(rows(seen))
    else:
        print_comparison(seen, console())
