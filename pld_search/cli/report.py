"""`report STUDY`: prints the comparison and writes report.html, report.csv and report.json; with --json the rows of the
runs, with --pdf the pictures for a paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.cli.options import Json, MachineFile, Runs, StudyName
from pld_search.cli.output import console, emit, say, ui_line
from pld_search.records.study_record import view
from pld_search.report.paper_text import write_paper
from pld_search.report.run_rows import rows
from pld_search.report.terminal import show
from pld_search.report.write_report import write_pictures, write_report

Forecasts = Annotated[bool, typer.Option("--forecast", help="Also print forecasts beside measured values.")]

Latex = Annotated[
    bool, typer.Option("--latex", help="Also write paper/ (table, methods, bibliography) and the pictures as PDF.")
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Also write the pictures as PDF: report.pdf and figures/.")]


def report(
    study: StudyName,
    json: Json = False,
    forecast: Forecasts = False,
    pdf: Pdf = False,
    latex: Latex = False,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Compare a study's systems and write its report."""
    folder = study_folder(study, Path(machine_of(machine, runs=runs).runs))
    page = write_report(folder)
    print_comparison(folder, json=json, forecasts=forecast)
    say(f"report:    {page}", aside=json)
    if latex:
        say(f"paper:     {write_paper(folder)}", aside=json)
    if pdf or latex:
        drawn = write_pictures(folder)
        say(f"pictures:  {drawn}, {folder / 'figures'}" if drawn else "pictures:  none yet", aside=json)
    say(f"data:      {folder / 'report.csv'}, report.json", aside=json)
    say(f"MLflow UI: {ui_line(study, runs, None)}", aside=json)


def print_comparison(folder: Path, *, json: bool, forecasts: bool = False) -> None:
    """Prints the comparison of a study as text; with `json` the rows of its runs."""
    seen = view(folder)
    if json:
        emit(rows(seen))
    else:
        show(seen, console(), forecasts=forecasts)
