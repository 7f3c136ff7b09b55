"""`mirror STUDY`: rebuilds MLflow's picture of a study from its files."""

from __future__ import annotations

from pathlib import Path

from pld_search.app.machine_setup import machine_of
from pld_search.app.report_answers import answered
from pld_search.app.study_folders import study_folder
from pld_search.cli.options import MachineFile, Runs, StudyName, TrackingUri
from pld_search.cli.output import say, ui_line
from pld_search.report.layer_figures import write_pictures
from pld_search.report.single_schedule_figure import picture
from pld_search.tracking.mlflow_mirror import mirror as rebuild


def mirror(study: StudyName, tracking_uri: TrackingUri = None, runs: Runs = None, machine: MachineFile = None) -> None:
    """Rebuild MLflow's picture of a study from its files."""
    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    rebuild(folder, tracking_uri, picture=picture, answering=answered, layers=write_pictures)
    say(f"{folder.name} is in MLflow; look at it with: {ui_line(study, runs, tracking_uri)}")
