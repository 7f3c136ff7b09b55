"""`pld_search.results`: what the files of a study say, folded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.records.study_events import SearchExplained
from pld_search.records.study_record import StudyView, view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.run_rows import rows
from pld_search.report.search_model import calibrated
from pld_search.statistics.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Results:
    """A study as its records tell it at one moment; `results` or `run` again reads them afresh.

    folder: of the study; report.html, report.csv and report.json lie in it.
    rows: one a run, as `pld-search report --json` prints them: trial, system, state, steps, ..., and every metric that
    was measured.
    comparison: one a system, then one a sampled trial, best first: means and spreads over seeds (`mean("valid/loss")`),
        differences to the reference, executed FLOPs.
    calibration: how often ends lay where the search's model had expected them; None without predictions.
    explained: importance of each parameter, partial dependence and interactions; None before a search is over.
    records: the fold everything above is made from: trials, and the series of each run.
    """

    folder: Path
    rows: list[dict[str, Any]]
    comparison: list[SystemRow]
    records: StudyView

    @property
    def calibration(self) -> Calibration | None:
        """Predicted against final, over all runs that were predicted at a rung and reached their end."""
        return calibrated(self.records.study)

    @property
    def explained(self) -> SearchExplained | None:
        """What the search has learned of its parameters, as it was recorded."""
        return self.records.study.explained


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
