"""Runs a study for a user: the coordinator with its trackers and observers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pld_search.app.fair_comparison import refuse_unfair
from pld_search.app.prepare_study import prepare_study
from pld_search.by_name import by_name
from pld_search.search.coordinator import Means, run_study
from pld_search.search.observer import Observer
from pld_search.search.seed_looks import Look
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared
from pld_search.tracking.mlflow_content import Answer
from pld_search.tracking.mlflow_mirror import Mirror

INTERRUPTED = (130, 143)
# imported by name when they are used, so that no launch waits for the imports of report and mirror
_REPORT = "pld_search.report.write_report:write_report"
_PICTURE = "pld_search.report.single_schedule_figure:picture"
_LAYERS = "pld_search.report.layer_figures:write_pictures"
_ANSWER = "pld_search.app.report_answers:answered"


@dataclass(frozen=True, slots=True)
class Services:
    """The services that a user named for a study: the URI of an MLflow store and the URL of an Optuna storage.

    For None the environment names it (MLFLOW_TRACKING_URI, OPTUNA_STORAGE); without a variable it is a file beside the
    runs.
    """

    tracking_uri: str | None
    storage: str | None


def conduct(
    study: Study,
    folder: Path,
    machine: Machine,
    services: Services,
    *,
    tell: Callable[[str], None],
    observers: Sequence[Observer] = (),
    once: bool = False,
    until_decided: bool = False,
) -> int:
    """Runs the coordinator with the trackers and with `observers`, which are notified first. tell: receives messages
    that belong to no run. until_decided: runs more seeds of undecided rows while they help. Returns the exit code.
    Raises ConfigError for a new study whose systems have their own seeds or unequal tuning.
    """
    refuse_unfair(study, folder)
    environment = dict(os.environ) if services.storage is None else {**os.environ, "OPTUNA_STORAGE": services.storage}
    means = Means(
        prepare=preparer(machine, tell),
        acknowledge=partial(tell, "stopping after checkpoints; again to kill"),
        observers=[*observers, *trackers(services.tracking_uri, tell)],
        report=_report,
        environment=environment,
        once=once,
        look=_look if until_decided else None,
    )
    return run_study(study, folder, machine, means)


def trackers(tracking_uri: str | None, tell: Callable[[str], None]) -> list[Observer]:
    """Returns the observers that show studies to others; a second tracker is one more entry."""
    return [Mirror(tracking_uri, picture=_draw, answering=_answered, layers=_draw_layers, say=tell)]


def _look(folder: Path) -> Look:
    from pld_search.app.report_answers import take_look  # all runs have ended: no launch waits for this import

    return take_look(folder)


def _report(folder: Path) -> None:
    by_name(_REPORT)(folder)


def _draw(experiment: Mapping[str, Any], path: Path) -> None:
    by_name(_PICTURE)(experiment, path)


def _draw_layers(name: str, analyses: Sequence[tuple[int, Any]], folder: Path) -> None:
    by_name(_LAYERS)(name, analyses, folder)


def _answered(folder: Path) -> Answer:
    found: Answer = by_name(_ANSWER)(folder)
    return found


def preparer(machine: Machine, tell: Callable[[str], None]) -> Callable[[Study], Prepared]:
    """Returns the function with which the coordinator prepares a study's data."""
    return lambda study: prepare_study(study, machine, tell)
