"""`pld_search.results`: what the files of a study say, folded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.records.study_events import SearchExplained
from pld_search.records.study_record import StudyView, view
from pld_search.report import headline, wording
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.row_names import configuration
from pld_search.report.run_frame import columns, curve_lines, mean_lines, run_lines
from pld_search.report.run_rows import rows
from pld_search.report.search_model import calibrated
from pld_search.report.study_summary import Summary, summary
from pld_search.statistics.calibration import Calibration

_SHOWN = 12
_MEANS = ("label", "trial", "system", "kind", "schedule", "steps", "seeds", "finished", "verdict")
_CURVES = ("label", "trial", "seed_index", "step", "tflop")


@dataclass(frozen=True, slots=True, repr=False)
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

    In a notebook it shows the comparison as a table.
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

    def to_frame(self, *, means: bool = False) -> Any:
        """The study as a pandas DataFrame.

        By default one line a run, the columns of report.csv: `label`, trial, seed, state, ..., `verdict`, `param/NAME`
        (what was sampled or tuned), `model/KEY`, `schedule/KEY`, and every metric. With `means` one line a row of the
        comparison: means over its finished seeds, `sd/NAME` (standard deviation over seeds), and `difference/NAME`,
        `low/NAME`, `high/NAME` (to the reference, with its interval), each in the metric's unit. NaN where there is
        none.
        """
        import pandas

        about = summary(self.records)
        if means:
            lines = mean_lines(self.comparison, about)
            return pandas.DataFrame(lines, columns=columns(lines, _MEANS))
        lines = run_lines(self.records, self.comparison, about)
        return pandas.DataFrame(lines, columns=columns(lines))

    def curves(self, *names: str) -> Any:
        """The series of every run as a pandas DataFrame: label, trial, seed_index, step, tflop, and a column for each
        of `names` (`valid/loss` where none is given). A line a run and step at which one of them was recorded; `tflop`
        is what was executed by then, NaN where not recorded at that step.
        """
        import pandas

        wanted = names or ("valid/loss",)
        lines = curve_lines(self.records, self.comparison, wanted)
        return pandas.DataFrame(lines, columns=[*_CURVES, *wanted])

    def __repr__(self) -> str:
        """Name, state, number of runs, and the best row."""
        about = summary(self.records)
        best = next((row for row in self.comparison if about.winner and row.trial == about.winner.trial), None)
        led = f"; best {about.objective}: {best.label}, {wording.number(best.mean(about.objective))}" if best else ""
        return f"<results of {about.name}: {about.state}, {len(self.rows)} runs{led}; {self.folder}>"

    def _repr_html_(self) -> str:
        """The answer and the comparison, for a notebook."""
        about = summary(self.records)
        sentences = [tag("p", tag("b", text)) for text in headline.lines(self.comparison, about)[:2]]
        left = len(self.comparison) - _SHOWN
        more = tag("p", f"and {left} more rows; the whole report: {self.folder / 'report.html'}") if left > 0 else None
        return tag("div", tag("p", f"{about.name}: {about.state}"), *sentences, self._table(about), more)

    def _table(self, about: Summary) -> Markup:
        primary = str(about.decide.primary)
        names = ("", "schedule", "steps", "valid/loss", f"less {about.reference or 'the reference'}", "verdict", "runs")
        head = tag("thead", tag("tr", *(tag("th", name) for name in names)))
        lines = (
            tag(
                "tr",
                tag("th", row.label),
                tag("td", configuration(row)),
                tag("td", wording.count(row.steps)),
                tag(
                    "td",
                    f"{wording.mean(row.metrics.get('valid/loss'))} "
                    f"{wording.spread_text(row.metrics.get('valid/loss'))}",
                ),
                tag(
                    "td",
                    wording.difference_text(found := row.differences.get(primary)),
                    " ",
                    wording.half_width_text(found),
                ),
                tag("td", wording.verdict(row, primary) or row.no_verdict),
                tag("td", wording.states_text(row.states)),
            )
            for row in self.comparison[:_SHOWN]
        )
        return tag("table", head, tag("tbody", join(*lines)))


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
