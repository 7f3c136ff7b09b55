"""`report STUDY`: the comparison in the terminal, report.html, report.csv and report.json; with --json the rows of the
runs.
"""

from __future__ import annotations

from pathlib import Path

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.cli.options import Json, MachineFile, Runs, StudyName
from pld_search.cli.output import console, emit, say
from pld_search.records.study_record import view
from pld_search.report.run_rows import rows
from pld_search.report.terminal import show
from pld_search.report.write_report import write_report


def report(study: StudyName, json: Json = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Compare a study's systems and write its report."""
    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    page = write_report(folder)
    print_comparison(folder, json=json)
    say(f"report: {page}", aside=json)


def print_comparison(folder: Path, *, json: bool) -> None:
    """The comparison of a study for people; with `json` the rows of its runs for programs."""
    if json:
        emit(rows(view(folder)))
    else:
        show(view(folder), console())
