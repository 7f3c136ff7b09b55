"""`mirror STUDY`: rebuild MLflow's picture of a study from its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pld_search.cli.options import MachineFile, Runs, StudyName, TrackingUri
from pld_search.cli.output import say


def mirror(study: StudyName, tracking_uri: TrackingUri = None, runs: Runs = None, machine: MachineFile = None) -> None:
    """Rebuild MLflow's picture of a study from its files."""
    from pld_search.cli.machine import machine_of
    from pld_search.cli.places import study_folder
    from pld_search.tracking.mirror import mirror as rebuild

    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    rebuild(folder, tracking_uri, picture=picture)
    say(f"{folder.name} is in MLflow; look at it with: {ui_line(study, runs, tracking_uri)}")


def picture(experiment: Mapping[str, Any], path: Path) -> None:
    """Draw the schedule of a run for its artifacts; tracking knows nothing of reports, so it is handed this."""
    from pld_search.report.single_schedule_figure import schedule_png
    from pld_search.specs.experiment import Experiment

    what = Experiment.model_validate(experiment)
    path.write_bytes(schedule_png(what.schedule, what.steps, what.layers_at))


def ui_line(study: str, runs: Path | None, tracking_uri: str | None) -> str:
    """The exact command that opens the MLflow UI on a study."""
    words = ["pld-search ui", study]
    if runs is not None:
        words.append(f"--runs {runs}")
    if tracking_uri is not None:
        words.append(f"--tracking-uri {tracking_uri}")
    return " ".join(words)
