"""Runs a study as a user asks for it: the coordinator with the mirror and its observers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pld_search.search.observer import Observer
    from pld_search.spaces.study import Study
    from pld_search.specs.machine import Machine
    from pld_search.specs.prepared_data import Prepared

INTERRUPTED = (130, 143)


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
    """The coordinator with the trackers and `observers`, which are looked at first; `tell` hears what belongs to no
    run. Returns the exit code.
    """
    from pld_search.report.write_report import write_report
    from pld_search.search.coordinator import run_study

    environment = dict(os.environ) if storage is None else {**os.environ, "OPTUNA_STORAGE": storage}
    return run_study(
        study,
        folder,
        machine,
        prepare=preparer(machine, tell),
        observers=[*observers, *trackers(tracking_uri, tell)],
        report=_written(write_report),
        environment=environment,
        once=once,
    )


def trackers(tracking_uri: str | None, tell: Callable[[str], None]) -> list[Observer]:
    """Whoever shows studies to others; a second tracker is one more entry."""
    from pld_search.report.single_schedule_figure import picture
    from pld_search.tracking.mirror import Mirror

    return [Mirror(tracking_uri, picture=picture, say=tell)]


def _written(write: Callable[[Path], Path]) -> Callable[[Path], None]:
    def report(folder: Path) -> None:
        write(folder)

    return report


def preparer(machine: Machine, tell: Callable[[str], None]) -> Callable[[Study], Prepared]:
    """What the coordinator calls to make a study's data ready."""
    from pld_search.app.prepare_study import prepare_study

    return lambda study: prepare_study(study, machine, tell)
