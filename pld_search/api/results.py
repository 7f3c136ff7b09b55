"""`pld_search.results`: what the files of a study say, folded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.records.study_record import StudyView, view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.run_rows import rows


@dataclass(frozen=True, slots=True)
class Results:
    """A study as its records tell it at one moment; `results` or `run` again reads them afresh.

    folder: of the study; report.html, report.csv and report.json lie in it.
    rows: one a run, as `pld-search report --json` prints them: trial, system, state, steps, ..., and every metric that
    was measured.
    comparison: one a system, then one a sampled trial, best first: means and spreads over seeds (`mean("valid/loss")`),
        differences to the reference, executed FLOPs.
    records: the fold everything above is made from: trials, and the series of each run.
    """

    folder: Path
    rows: list[dict[str, Any]]
    comparison: list[SystemRow]
    records: StudyView


def results(study: str | Path, *, runs: str | Path | None = None) -> Results:
    """What is known of a study, also while it runs: read from its files only.

    Args:
        study: its folder, or its name in
        runs: the folder of all studies; by default that of ./machine.yaml, else `runs`.

    Raises ConfigError where there is no such study.
    """
    return read(study_folder(str(study), Path(machine_of(None, runs=runs).runs)))


def read(folder: Path) -> Results:
    """The results in a study's folder."""
    seen = view(folder)
    return Results(folder, rows(seen), comparison(seen), seen)
