"""The comparison in a terminal: tables that fit 80 columns, in plain text when the output is not a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.study_record import StudyView
from pld_search.report import forecast_table, pareto, rung_table, search_model, wording
from pld_search.report import headline as answers
from pld_search.report.comparison import SystemRow, comparison, downstream
from pld_search.report.leading_row import lead_text, leader, runs_text
from pld_search.report.row_marks import marks
from pld_search.report.row_names import configuration
from pld_search.report.run_rows import rows
from pld_search.report.step_cost import step_cost
from pld_search.report.study_summary import Summary, summary
from pld_search.statistics.spread import Spread

SAMPLED_SHOWN = 5
_NAME_WIDTH, _HEADING = 20, 12


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, and a cell for each row; the `last` column may wrap."""

    heading: str
    cells: Sequence[Text]
    last: bool = False


def show(view: StudyView, out: Console, *, forecasts: bool = False) -> None:
    """Prints the tables of a study and then the answer, which stays visible. `forecasts`: also the forecast tables."""
    about, table = summary(view), comparison(view)
    shown = [row for row in table if row.system is not None] + [row for row in table if row.system is None][
        :SAMPLED_SHOWN
    ]
    state = f": {about.state}, {runs_text(about.states)}; budget {about.budget or 'not stated'}"
    out.print(Text.assemble((about.name, "bold"), state))
    out.print()
    if not shown:
        out.print(Text("No trial has been asked for yet."))
        return
    names = downstream(shown)
    titled = [("Quality", quality_table(shown, about)), ("Cost", cost_table(shown))]
    if names:
        titled.insert(
            1,
            (
                "Downstream scores, the difference to the reference, and its interval",
                score_table(shown, names, about.majority),
            ),
        )
    for title, part in titled:
        if part.row_count:
            out.print(Text(title, style="bold"))
            out.print(part)
            out.print()
    pareto.show(table, view, out)
    rung_table.show(view, out)
    for said in search_model.lines(view.study):
        out.print(Text(said))
    if forecasts:
        own = {line.trial for line in shown}
        forecast_table.show([row for row in rows(view) if row["trial"] in own], view, out)
    hidden = len(table) - len(shown)
    if hidden:
        out.print(Text(f"{hidden} more sampled trial{'s' if hidden > 1 else ''} in report.html and report.csv."))
    out.print(Text(wording.rule(about, table), style="dim"))
    out.print()
    for line in answer(about, table):
        out.print(line)


def answer(about: Summary, table: Sequence[SystemRow]) -> list[Text]:
    """Returns the last lines: waivers, the leading row, and the answer."""
    lines = [Text(f"waived: {name}: {why}", style="dim") for name, why in about.waived.items()]
    above = [row.label for row in table if row.below_unigram is not None and row.below_unigram < 0]
    if above:
        named = ", ".join(above[:6]) + (f" and {len(above) - 6} more" if len(above) > 6 else "")
        lines.append(Text(f"Above the unigram entropy, nothing was learnt but word frequencies: {named}.", style="red"))
    best = leader(table, about)
    if best is not None:
        lines.append(Text(lead_text(best, about)))
    lines += [Text(sentence, style="bold") for sentence in answers.lines(table, about)]
    return lines


def _table(first: str, names: Sequence[Text], columns: Sequence[Column]) -> Table:
    """Returns a table of the columns that have text for some row: the names first and uncut, numbers to the right. Only
    the first and the last column wrap. The table is empty when no column has text.
    """
    told = [column for column in columns if any(cell.plain.strip(f"\n{wording.NONE} ") for cell in column.cells)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    width = min(max((len(line) for name in names for line in name.plain.splitlines()), default=1), _NAME_WIDTH)
    table.add_column(first, min_width=width, max_width=_NAME_WIDTH, overflow="fold")
    for column in told:
        table.add_column(
            column.heading,
            justify="left" if column.last else "right",
            no_wrap=not column.last,
            overflow="fold",
        )
    if told:
        for index, name in enumerate(names):
            table.add_row(name, *(column.cells[index] for column in told))
    return table


def _cell(*lines: str, style: str = "") -> Text:
    """Returns plain text: text of a user never becomes markup."""
    return Text("\n".join(line for line in lines if line), style=style)


def _name(row: SystemRow, below: str = "") -> Text:
    return Text.assemble((row.label, "bold" if row.system is not None else ""), (f"\n{below}" if below else "", "dim"))


def _below(row: SystemRow) -> str:
    """Returns the lines below a name: configuration, reference mark, model, and the row's marks."""
    first = ", ".join(part for part in (configuration(row), "reference" if row.is_reference else "") if part)
    return "\n".join(part for part in (first, row.model, *marks(row)) if part)


def quality_table(table: Sequence[SystemRow], about: Summary) -> Table:
    """Returns losses, their spread over seeds, and the difference to the reference, on separate lines to keep columns
    narrow.
    """
    primary = str(about.decide.primary)
    against = f"vs {_short(about.reference)}\n{primary}" if about.reference else "difference"
    columns = (
        Column("steps", [_cell(wording.count(row.steps)) for row in table]),
        Column("valid/\nloss", [_loss(row, "valid/loss", about) for row in table]),
        Column(against, [_difference(row, primary) for row in table]),
        Column("below\nunigram", [_cell(wording.number(row.below_unigram), style=_red(row)) for row in table]),
        Column("test/\nloss", [_loss(row, "test/loss", about) for row in table]),
    )
    return _table("system\nschedule, model", [_name(row, _below(row)) for row in table], columns)


def _short(name: str) -> str:
    return name if len(name) <= _HEADING else "reference"


def _red(row: SystemRow) -> str:
    return "red" if row.below_unigram is not None and row.below_unigram < 0 else ""


def _loss(row: SystemRow, name: str, about: Summary) -> Text:
    found = row.metrics.get(name)
    shrunken = row.shrunken if about.objective == name else None
    expected = f"fresh {wording.number(shrunken.expected)}" if shrunken is not None else ""
    return _cell(wording.mean(found), *_spread(found), expected, style=_red(row) if name == "valid/loss" else "")


def _difference(row: SystemRow, primary: str) -> Text:
    found = row.differences.get(primary)
    lines = [] if row.is_reference else wording.verdict_lines(row, primary)
    return _cell(wording.difference_text(found), *lines, style="" if found is not None and found.verdict else "dim")


def _spread(spread: Spread | None) -> list[str]:
    """Splits a spread into two lines: `± 0.012` and `n = 2`."""
    return wording.spread_text(spread).rstrip(")").split(" (")


def score_table(table: Sequence[SystemRow], names: Sequence[str], guess: Mapping[str, float]) -> Table:
    """Returns downstream scores; below each the difference to the reference, its interval, and the verdict if the score
    is judged. The last row shows the scores of a `guess` of the commonest label, when known.
    """
    known = any(name in guess for name in names)
    columns = [
        Column(
            name.replace("/", "/\n"),
            [
                *(_cell(wording.mean(row.metrics.get(name)), *_small(row, name)) for row in table),
                *([_cell(wording.number(guess.get(name)), style="dim")] if known else []),
            ],
        )
        for name in names
    ]
    labels = [*map(_name, table), *([Text("majority class", style="dim")] if known else [])]
    return _table("system", labels, columns)


def _small(row: SystemRow, name: str) -> list[str]:
    found = row.differences.get(name)
    if found is None:
        return []
    lines = wording.verdict_lines(row, name) if found.verdict else [wording.half_width_text(found)]
    return [wording.signed(found.value), *lines]


def cost_table(table: Sequence[SystemRow]) -> Table:
    """Returns the costs and savings of each row, its step relative to the reference's, its speed, and its runs'
    ends.
    """
    reference = next((row for row in table if row.is_reference), None)
    steps = [step_cost(row, reference) for row in table]
    columns = (
        Column("tuning\ntrials", [_cell(str(row.tuning_trials or wording.NONE)) for row in table]),
        Column("saved\nblocks\nFLOPs", [_saved(row) for row in table]),
        Column(
            "step vs\nreference\nFLOPs, s",
            [_cell(wording.percent(step.flops, 0), wording.percent(step.seconds, 0)) for step in steps],
        ),
        Column("TFLOP\nvs ref.", [_spent(row) for row in table]),
        Column("tokens/s\nvs full\ndepth", [_speed(row) for row in table]),
        Column("runs", [_runs(row) for row in table], last=True),
    )
    return _table("system", [_name(row) for row in table], columns)


def _saved(row: SystemRow) -> Text:
    return _cell(wording.percent(row.mean("saved/block_flops")), wording.percent(row.mean("saved/flops")))


def _spent(row: SystemRow) -> Text:
    ratio = wording.NONE if row.is_reference else wording.cost_text(row)
    return _cell(wording.compact(row.cost.tflop if row.cost else None), ratio)


def _speed(row: SystemRow) -> Text:
    return _cell(wording.compact(row.mean("speed/tokens_per_second")), wording.times(row.mean("speed/relative")))


def _runs(row: SystemRow) -> Text:
    said = f"diverged: {wording.divergence_text(row)}" if row.diverged else ""
    return _cell(wording.states_text(row.states), said)
