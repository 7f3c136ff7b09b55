"""`report STUDY`: the comparison in the terminal, report.html, report.csv and report.json; with --json the rows of the
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.cli.options import Json, MachineFile, Runs, StudyName
from pld_search.cli.output import emit, say
from pld_search.records.study_record import view
from pld_search.report.run_rows import rows
from pld_search.report.terminal import console, show
from pld_search.report.write_paper import write_paper
from pld_search.report.write_report import write_report


def report(
    study: StudyName,
    latex: Annotated[
        bool,
        typer.Option("--latex", help="Also write paper/: table, methods and bibliography as LaTeX, pictures as PDF."),
    ] = False,
    json: Json = False,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Compare a study's systems and write its report."""
    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    page = write_report(folder)
    if json:
        emit(rows(view(folder)))
    else:
        show(view(folder), console())
    say(f"report: {page}", aside=json)
    if latex:
        for path in write_paper(folder):
            say(f"paper:  {path}", aside=json)
