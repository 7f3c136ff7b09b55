"""Runs a study as a user asks for it: the coordinator with its trackers and observers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pld_search.app.fair_comparison import refuse_own_seeds
from pld_search.app.prepare_study import prepare_study
from pld_search.search.coordinator import run_study
from pld_search.search.observer import Observer
from pld_search.search.seed_looks import Look
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared
from pld_search.tracking.mirror import Mirror
from pld_search.tracking.mlflow_content import DIFFERENCE, Answer

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
    until_decided: bool = False,
) -> int:
    """The coordinator with the trackers and `observers`, which are looked at first; `tell` hears what belongs to no
    run; `until_decided` runs more seeds of undecided rows while they help. Returns the exit code. Raises ConfigError
    for a new study whose systems have seeds of their own.
    """
    refuse_own_seeds(study, folder)
    environment = dict(os.environ) if storage is None else {**os.environ, "OPTUNA_STORAGE": storage}
    return run_study(
        study,
        folder,
        machine,
        prepare=preparer(machine, tell),
        acknowledge=partial(tell, "stopping after checkpoints; again to kill"),
        observers=[*observers, *trackers(tracking_uri, tell)],
        report=_report,
        environment=environment,
        once=once,
        look=_look if until_decided else None,
    )


def trackers(tracking_uri: str | None, tell: Callable[[str], None]) -> list[Observer]:
    """The observers that show studies to others; a second tracker is one more entry."""
    return [Mirror(tracking_uri, picture=_draw, answering=answered, say=tell)]


def _look(folder: Path) -> Look:
    from pld_search.app.seed_look import take_look  # runs have ended by now: no launch waits for it

    return take_look(folder)


def _report(folder: Path) -> None:
    from pld_search.report.write_report import write_report  # runs have ended by now: no launch waits for it

    write_report(folder)


def _draw(experiment: Mapping[str, Any], path: Path) -> None:
    from pld_search.report.single_schedule_figure import picture  # in the mirror's time: no launch waits for it

    picture(experiment, path)


def answered(folder: Path) -> Answer:
    """What the report answers of a study, as MLflow shows it."""
    # in the mirror's time: no launch waits for it
    from pld_search.records.study_record import view
    from pld_search.report.comparison import comparison
    from pld_search.report.headline import lines, words
    from pld_search.report.study_summary import summary

    seen = view(folder)
    about, table = summary(seen), comparison(seen)
    won = about.winner.trial if about.winner is not None else None
    primary = str(about.decide.primary)
    figures = {
        row.trial: {DIFFERENCE + primary: row.differences[primary].value} for row in table if primary in row.differences
    }
    return Answer(" ".join(lines(table, about)), words(table, about), won, figures)


def preparer(machine: Machine, tell: Callable[[str], None]) -> Callable[[Study], Prepared]:
    """The function with which the coordinator makes a study's data ready."""
    return lambda study: prepare_study(study, machine, tell)
