"""`pld_search.results`: reads the files of a study."""

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
    """The results of a study, read from its records at one moment; call `results` or `run` again for newer ones.

    folder: the study's folder; it contains report.html, report.csv and report.json.
    rows: one for each run, as `pld-search report --json` prints them: trial, system, state, steps, ..., and every
        measured metric.
    comparison: one row for each system, then one for each sampled trial, best first: means and spreads over seeds
        (`mean("valid/loss")`), differences to the reference, executed FLOPs.
    calibration: how often the ends of runs lay where the search's model had predicted them; None without predictions.
    explained: importance of each parameter, partial dependence and interactions; None before a search is over.
    records: the fold of the records, the source of all of the above: trials, and the series of each run.

    A notebook shows the comparison as a table.
    """

    folder: Path
    rows: list[dict[str, Any]]
    comparison: list[SystemRow]
    records: StudyView

    @property
    def calibration(self) -> Calibration | None:
        """Predicted against final values, over all runs that were predicted at a rung and reached their end."""
        return calibrated(self.records.study)

    @property
    def explained(self) -> SearchExplained | None:
        """The recorded effects of the search's parameters."""
        return self.records.study.explained

    def to_frame(self, *, means: bool = False) -> Any:
        """Returns the study as a pandas DataFrame.

        By default it has one line for each run, with the columns of report.csv: `label`, trial, seed, state, ...,
        `verdict`, `param/NAME` (a sampled or tuned value), `model/KEY`, `schedule/KEY`, and every metric. With `means`
        it has one line for each row of the comparison: means over its finished seeds, `sd/NAME` (standard deviation
        over seeds), and `difference/NAME`, `low/NAME`, `high/NAME` (to the reference, with its interval), each in the
        metric's unit. A missing value is NaN.
        """
        import pandas

        about = summary(self.records)
        if means:
            lines = mean_lines(self.comparison, about)
            return pandas.DataFrame(lines, columns=columns(lines, _MEANS))
        lines = run_lines(self.records, self.comparison, about)
        return pandas.DataFrame(lines, columns=columns(lines))

    def curves(self, *names: str) -> Any:
        """Returns the series of every run as a pandas DataFrame: label, trial, seed_index, step, tflop, and a column
        for each of `names` (default: `valid/loss`). It has a line for each run and step at which one of the metrics was
        recorded. `tflop` is the executed TFLOP at that step, NaN when it was not recorded at that step.
        """
        import pandas

        wanted = names or ("valid/loss",)
        lines = curve_lines(self.records, self.comparison, wanted)
        return pandas.DataFrame(lines, columns=[*_CURVES, *wanted])

    def __repr__(self) -> str:
        """Returns name, state, number of runs, and the best row."""
        about = summary(self.records)
        best = next((row for row in self.comparison if about.winner and row.trial == about.winner.trial), None)
        led = f"; best {about.objective}: {best.label}, {wording.number(best.mean(about.objective))}" if best else ""
        return f"<results of {about.name}: {about.state}, {len(self.rows)} runs{led}; {self.folder}>"

    def _repr_html_(self) -> str:
        """Returns the answer and the comparison as HTML for a notebook."""
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
    """Returns the results of a study, also while it runs; reads its files only.

    Args:
        study: the study's folder, or its name under `runs`.
        runs: the folder of all studies; by default the folder in ./machine.yaml, else `runs`.

    Raises ConfigError when there is no such study.
    """
    return read(study_folder(str(study), Path(machine_of(None, runs=runs).runs)))


def read(folder: Path) -> Results:
    """Returns the results in a study's folder."""
    seen = view(folder)
    return Results(folder, rows(seen), comparison(seen), seen)
