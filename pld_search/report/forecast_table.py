"""Compares forecast and measurement of each run: layers kept, FLOPs and seconds, as forecast when the run was asked
for.

Layers and FLOPs differ from their forecast only by the sampling of layers. Seconds also depend on facts that the
profile did not know: the other slots, and other load on the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.costs.profile import Profile
from pld_search.records.study_record import StudyView
from pld_search.report import table_cells, wording
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.run_rows import Row

_TERA = 1e12
_NOTE = (
    "Finished runs only. Layers and FLOPs differ by the sampling of layers; seconds are of pre-training, "
    "forecast for a run alone on its slot"
)
TITLE = "Forecast against measured"


@dataclass(frozen=True, slots=True)
class Compared:
    """A number of a run, expected and measured; None when unknown."""

    expected: float | None
    measured: float | None

    @property
    def ratio(self) -> float | None:
        """Measured divided by expected."""
        return self.measured / self.expected if self.expected and self.measured is not None else None


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """One finished run: layers kept a step, TFLOP, seconds of pre-training."""

    trial: int
    seed: int
    label: str
    layers: Compared
    tflop: Compared
    seconds: Compared


def lines(table: Iterable[Row]) -> list[ForecastLine]:
    """Returns a line for every finished run that has a forecast, in the order of the rows."""
    return [_line(row) for row in table if row["state"] == "finished" and "forecast/total_flops" in row]


def _line(row: Row) -> ForecastLine:
    return ForecastLine(
        trial=row["trial"],
        seed=row["seed"],
        label=row["system"] or f"trial {row['trial']}",
        layers=Compared(row.get("forecast/expected_layers_mean"), row.get("drop/layers_kept")),
        tflop=Compared(row["forecast/total_flops"] / _TERA, row.get("progress/tflop")),
        seconds=Compared(row.get("forecast/seconds"), row.get("progress/seconds")),
    )


def profiles_text(view: StudyView) -> str:
    """Returns ` by cpu (…), 1 thread, measured …` for every profile of the study; says so when there is none."""
    said = dict.fromkeys(Profile.model_validate(profile).said for profile in view.study.profiles.values())
    return f", by {'; '.join(said)}." if said else "; none was made: `pld-search plan STUDY --calibrate`."


def body(facts: PageFacts) -> Markup | None:
    """Returns the table of the page; None before any run with a forecast has finished."""
    found = lines(facts.runs)
    if not found:
        return None
    headings = [
        table_cells.heading("trial", left=True),
        table_cells.heading("seed"),
        table_cells.heading("run", left=True),
    ]
    headings += [
        table_cells.heading(name, small)
        for name in ("layers kept", "TFLOP", "seconds")
        for small in ("forecast", "measured")
    ]
    headings += [
        table_cells.heading("FLOPs", "measured / forecast"),
        table_cells.heading("seconds", "measured / forecast"),
    ]
    return join(
        tag("p", _NOTE + profiles_text(facts.view), class_="soft"),
        table_cells.grid(headings, [tag("tr", *_cells(line)) for line in found]),
    )


def _cells(line: ForecastLine) -> list[Markup]:
    which = [
        table_cells.cell(str(line.trial), class_="left"),
        table_cells.cell(str(line.seed)),
        table_cells.cell(line.label, class_="left"),
    ]
    return which + [table_cells.cell(text) for text in _texts(line)]


def _texts(line: ForecastLine) -> Iterator[str]:
    for one, digits in ((line.layers, 3), (line.tflop, 3), (line.seconds, 1)):
        yield wording.number(one.expected, digits)
        yield wording.number(one.measured, digits)
    yield wording.number(line.tflop.ratio, 4)
    yield wording.number(line.seconds.ratio, 2)


def show(table: Sequence[Row], view: StudyView, out: Console) -> None:
    """Prints the table in a terminal; prints nothing before any run with a forecast has finished."""
    found = lines(table)
    if not found:
        return
    out.print(Text(TITLE, style="bold"))
    out.print(terminal_table(found))
    out.print(Text(_NOTE + profiles_text(view), style="dim"))
    out.print()


def terminal_table(found: Sequence[ForecastLine]) -> Table:
    """Returns a table with a line for each run: `forecast → measured`, and the ratio measured / forecast."""
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    out.add_column("run", overflow="fold")
    for name in ("layers", "TFLOP", "seconds", "FLOPs\nratio", "seconds\nratio"):
        out.add_column(name, justify="right", no_wrap=True)
    for line in found:
        layers, ran, tflop, executed, seconds, took, of_flops, of_seconds = _texts(line)
        pairs = (f"{layers} → {ran}", f"{tflop} → {executed}", f"{seconds} → {took}")
        out.add_row(Text(f"{line.label} seed {line.seed}"), *pairs, of_flops, of_seconds)
    return out
