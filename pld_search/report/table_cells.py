"""The parts of the page's tables: headings, cells, names with their colour, pills, spreads and verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from pld_search.report import wording
from pld_search.report.comparison import SystemRow, comparable
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.row_colours import RowColours
from pld_search.report.row_marks import marks
from pld_search.report.row_names import configuration
from pld_search.specs.metrics import metric
from pld_search.statistics.spread import Spread
from pld_search.statistics.verdict import Verdict

PILLS = {
    "finished": "good",
    "complete": "good",
    "diverged": "bad",
    "failed": "bad",
    "rejected": "bad",
    "stopped": "warn",
    "paused": "warn",
    "pruned": "warn",
    "running": "warn",
}


def pill(text: str, kind: str = "", title: str | None = None) -> Markup:
    """Returns a short coloured word; `kind` is its class, `title` its tooltip."""
    return tag("span", text, class_=f"pill {kind}".strip(), title=title)


def grid(headings: Sequence[Markup], lines: Sequence[Markup]) -> Markup:
    """Returns a table that scrolls sideways on a narrow screen."""
    return tag("div", tag("table", tag("thead", tag("tr", *headings)), tag("tbody", *lines)), class_="scroll")


def heading(text: str, small: str | None = None, left: bool = False) -> Markup:
    """Returns a cell of the table's head; `small` stands below the text."""
    return tag("th", text, tag("small", small) if small else None, class_="left" if left else None)


def cell(text: str | None, small: str | Markup | None = None, class_: str | None = None) -> Markup:
    """Returns a cell of the table; `small` stands below the text."""
    return tag("td", text, tag("small", small) if small else None, class_=class_)


def name(row: SystemRow, look: dict[str, RowColours], model: bool = False) -> Markup:
    """Returns the row's name with its mark; below it its model (with `model`) and its schedule or sampled values."""
    swatch = tag("span", look[row.label].glyph, class_="swatch", style=f"color:{look[row.label].colour}")
    mark = join(Markup(" "), pill("reference")) if row.is_reference else None
    below = " · ".join(part for part in (row.model if model else "", configuration(row), *marks(row)) if part)
    label = tag("strong", row.label) if row.system is not None else tag("span", row.label)
    named = join(swatch, label, mark)
    return tag("td", named, tag("small", below) if below else None, class_="left name", data_value=row.label)


def line(row: SystemRow, table: Sequence[SystemRow], *cells: Markup) -> Markup:
    """Returns a row of the table, marked when it is the reference or the first sampled configuration."""
    first_sampled = next((other for other in table if other.system is None), None)
    kinds = {
        "reference": row.is_reference,
        "sampled": row.system is None,
        "divide": row is first_sampled and row is not table[0],
    }
    kind = " ".join(word for word, holds in kinds.items() if holds)
    return tag("tr", *cells, class_=kind or None, data_row=row.label)


def spread(found: Spread | None, best: bool = False, expected: str = "", bad: bool = False) -> Markup:
    """Returns a mean with its spread over seeds. expected: text below it for a selected row. bad: whether it is red."""
    below = [tag("small", text) for text in (wording.spread_text(found), expected) if text]
    kind = " ".join(word for word, holds in (("best", best), ("bad-text", bad)) if holds)
    return tag("td", wording.mean(found), *below, class_=kind or None)


def below_unigram(row: SystemRow) -> Markup:
    """Returns nats below a guess by word frequencies; red when the run is above that guess."""
    found = row.below_unigram
    if found is None or found >= 0:
        return cell(wording.number(found))
    return cell(wording.number(found), "above: learnt nothing", "bad-text")


VERDICTS: dict[Verdict, str] = {
    Verdict.BETTER: "good",
    Verdict.EQUAL: "good",
    Verdict.WORSE: "bad",
    Verdict.UNDECIDED: "warn",
}


def difference(row: SystemRow, name: str) -> Markup:
    """Returns two cells: the difference to the reference with half its interval, and the verdict or why there
    is none.
    """
    found = row.differences.get(name)
    number = cell(wording.difference_text(found), wording.half_width_text(found) or None)
    if row.is_reference:
        return join(number, tag("td", "", class_="left verdict"))
    words = wording.verdict(row, name) or row.no_verdict
    kind = VERDICTS.get(found.verdict, "") if found is not None and found.verdict is not None else ""
    aside = None if found is None or found.flip_p is None else tag("small", f"sign flips p = {found.flip_p:.2g}")
    return join(number, tag("td", pill(words, kind) if words else wording.NONE, aside, class_="left verdict"))


def cost(row: SystemRow) -> Markup:
    """Returns the executed TFLOP, and whether they agree with the reference's."""
    tolerance = row.cost.tolerance if row.cost is not None else None
    limit = (
        f"equal within {wording.percent(tolerance)}: four standard deviations of the layers' sampling and one step"
        if tolerance is not None
        else None
    )
    text = wording.cost_text(row)
    small = None if text in (wording.NONE, "reference") else pill(text, "good" if text == "equal" else "warn", limit)
    return cell(wording.compact(row.cost.tflop if row.cost else None), small)


def best(table: Sequence[SystemRow], name: str) -> SystemRow | None:
    """Returns the best row among the rows that a metric compares; None for a tie or a single row."""
    table = comparable(table, name)
    fresh = any(row.confirmed for row in table)
    ranked = sorted(
        (row for row in table if name in row.metrics and row.confirmed >= fresh),
        key=lambda row: row.metrics[name].mean,
        reverse=metric(name).direction == "maximize",
    )
    return ranked[0] if len(ranked) > 1 and ranked[0].metrics[name].mean != ranked[1].metrics[name].mean else None
