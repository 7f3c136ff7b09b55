"""The comparison in a terminal: tables that fit 80 columns, plain text where the output is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.study_record import StudyView
from pld_search.report import forecast_table, pareto, rung_table, wording
from pld_search.report import headline as answers
from pld_search.report.comparison import SystemRow, comparison, downstream
from pld_search.report.row_marks import marks
from pld_search.report.run_rows import rows
from pld_search.report.study_summary import Summary, summary
from pld_search.statistics.spread import Spread

SAMPLED_SHOWN = 5
_NAME_WIDTH = 20
_LAST = "runs"


def show(view: StudyView, out: Console) -> None:
    """Print the headline and the tables of a study."""
    about, table = summary(view), comparison(view)
    shown = [row for row in table if row.system is not None] + [row for row in table if row.system is None][
        :SAMPLED_SHOWN
    ]
    for line in headline(about, table):
        out.print(line)
    out.print()
    if not shown:
        out.print(Text("No trial has been asked for yet."))
        return
    names = downstream(shown)
    titled = [("Quality", quality_table(shown, about)), ("Cost", cost_table(shown))]
    if names:
        titled.insert(
            1, ("Downstream scores, the difference to the reference, and its interval", score_table(shown, names))
        )
    for title, part in titled:
        out.print(Text(title, style="bold"))
        out.print(part)
        out.print()
    pareto.show(table, view, out)
    rung_table.show(view, out)
    forecast_table.show([row for row in rows(view) if row["trial"] in {line.trial for line in shown}], view, out)
    hidden = len(table) - len(shown)
    if hidden:
        out.print(Text(f"{hidden} more sampled trial{'s' if hidden > 1 else ''} in report.html and report.csv."))
    out.print(Text(wording.rule(about, table), style="dim"))


def headline(about: Summary, table: Sequence[SystemRow]) -> list[Text]:
    """The lines above the tables: the answer first, then what was compared, at which budget, and who leads."""
    lines = [Text(" ".join(answer), style="bold")] if (answer := answers.lines(table, about)) else []
    lines += [
        Text.assemble(
            (about.name, "bold"), f": {about.state}, {runs_text(about.states)}; budget {about.budget or 'not stated'}"
        )
    ]
    best = leader(table, about)
    if best is not None:
        lines.append(Text(lead_text(best, about)))
    return lines


def runs_text(states: dict[str, int]) -> str:
    """`3 runs (2 finished, 1 running)`: how many runs there are, and in which states."""
    total = sum(states.values())
    return f"{total} run{'s' if total != 1 else ''} ({wording.states_text(states)})" if total else "no runs yet"


def leader(table: Iterable[SystemRow], about: Summary) -> SystemRow | None:
    """The row of the study's winner (records/winner.py); None before there is one, or where it has no value."""
    return next(
        (
            row
            for row in table
            if about.winner is not None and row.trial == about.winner.trial and about.objective in row.metrics
        ),
        None,
    )


def lead_text(best: SystemRow, about: Summary) -> str:
    """`Best valid/loss: pld, 5.412; difference to full −0.041 (better); 0.59 nats below the unigram entropy; not
    confirmed.`
    """
    parts = [f"Best {about.objective}: {best.label}, {wording.mean(best.metrics[about.objective])}"]
    difference = best.differences.get(about.objective)
    if best.is_reference:
        parts.append("the reference itself")
    elif difference is not None:
        said = wording.verdict(best, about.objective) or best.no_verdict
        parts.append(
            f"difference to {about.reference} {wording.difference_text(difference)}{f' ({said})' if said else ''}"
        )
    if best.shrunken is not None:
        expected, trials = wording.number(best.shrunken.expected), best.shrunken.trials
        parts.append(f"a fresh run is expected to reach {expected}, given {trials} trials")
    if best.below_unigram is not None and about.entropy is not None:
        side = "below" if best.below_unigram >= 0 else "above"
        parts.append(f"{abs(best.below_unigram):.2f} nats {side} the unigram entropy of {about.entropy:.2f}")
    basis = about.winner.basis if about.winner is not None else "declared"
    parts.append("confirmed on fresh seeds" if basis == "confirmed" else "not confirmed")
    return "; ".join(parts) + "."


def _table(rows: Sequence[SystemRow], *headings: str, first: str = "system") -> Table:
    """An empty table: the system's name first and whole, numbers to the right; what is long wraps in the last column
    only.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    width = min(max(len(line) for row in rows for line in (row.label, *_below(row).splitlines())), _NAME_WIDTH)
    table.add_column(first, min_width=width, max_width=_NAME_WIDTH, overflow="fold")
    for heading in headings:
        last = heading == _LAST
        table.add_column(heading, justify="left" if last else "right", no_wrap=not last, overflow="fold")
    return table


def _cell(*lines: str, style: str = "") -> Text:
    """Text as it is: what a user wrote never becomes markup."""
    return Text("\n".join(line for line in lines if line), style=style)


def _name(row: SystemRow, below: str = "") -> Text:
    return Text.assemble((row.label, "bold" if row.system is not None else ""), (f"\n{below}" if below else "", "dim"))


def _schedule(row: SystemRow) -> str:
    """What stands below a name: its schedule, and that it is the reference."""
    return ", ".join(part for part in (row.schedule, "reference" if row.is_reference else "") if part)


def _below(row: SystemRow) -> str:
    """The same, the model, and what sets the row apart: a long one takes several lines."""
    return "\n".join(part for part in (_schedule(row), row.model, *marks(row)) if part)


def quality_table(table: Sequence[SystemRow], about: Summary) -> Table:
    """Losses, their spread over seeds, and the difference to the reference: a line for each, so that every column is
    narrow.
    """
    primary = str(about.decide.primary)
    against = f"vs {about.reference}\n{primary}" if about.reference else "difference"
    out = _table(
        table, "steps", "valid/\nloss", against, "below\nunigram", "test/\nloss", first="system\nschedule, model"
    )
    for row in table:
        difference = row.differences.get(primary)
        valid, test = row.metrics.get("valid/loss"), row.metrics.get("test/loss")
        shrunken = row.shrunken if about.objective == "valid/loss" else None
        expected = f"fresh {wording.number(shrunken.expected)}" if shrunken is not None else ""
        out.add_row(
            _name(row, _below(row)),
            _cell(wording.count(row.steps)),
            _cell(wording.mean(valid), *_spread(valid), expected),
            _cell(
                wording.difference_text(difference),
                *([] if row.is_reference else wording.verdict_lines(row, primary)),
                style="" if difference is not None and difference.verdict else "dim",
            ),
            _cell(wording.number(row.below_unigram)),
            _cell(wording.mean(test), *_spread(test)),
        )
    return out


def _spread(spread: Spread | None) -> list[str]:
    """`± 0.012` and `n = 2`."""
    return wording.spread_text(spread).rstrip(")").split(" (")


def score_table(table: Sequence[SystemRow], names: Sequence[str]) -> Table:
    """Downstream scores with the difference to the reference and its interval under each, and a verdict where the
    score is judged.
    """
    out = _table(table, *(name.replace("/", "/\n") for name in names))
    for row in table:
        out.add_row(_name(row), *(_cell(wording.mean(row.metrics.get(name)), *_small(row, name)) for name in names))
    return out


def _small(row: SystemRow, name: str) -> list[str]:
    found = row.differences.get(name)
    if found is None:
        return []
    lines = wording.verdict_lines(row, name) if found.verdict else [wording.half_width_text(found)]
    return [wording.signed(found.value), *lines]


def cost_table(table: Sequence[SystemRow]) -> Table:
    """What each row spent and saved, its speed, and how its runs ended."""
    out = _table(table, "tuning\ntrials", "saved\nblocks\nFLOPs", "TFLOP\nvs ref.", "tokens/s\nvs full depth", _LAST)
    for row in table:
        out.add_row(
            _name(row),
            _cell(str(row.tuning_trials) if row.system is not None else wording.NONE),
            _cell(wording.percent(row.mean("saved/block_flops")), wording.percent(row.mean("saved/flops"))),
            _cell(
                wording.compact(row.cost.tflop if row.cost else None),
                wording.NONE if row.is_reference else wording.cost_text(row),
            ),
            _cell(wording.compact(row.mean("speed/tokens_per_second")), wording.times(row.mean("speed/relative"))),
            _cell(wording.states_text(row.states), f"diverged: {wording.divergence_text(row)}" if row.diverged else ""),
        )
    return out
