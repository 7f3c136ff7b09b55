"""The small parts every table of the page is made of: headings, cells, names with their colour, pills, spreads and
verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from pld_search.report import wording
from pld_search.report.comparison import SystemRow, comparable
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.row_marks import marks
from pld_search.specs.metrics import metric
from pld_search.statistics.spread import Difference, Spread

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
    return tag("span", text, class_=f"pill {kind}".strip(), title=title)


def grid(headings: Sequence[Markup], lines: Sequence[Markup]) -> Markup:
    return tag("div", tag("table", tag("thead", tag("tr", *headings)), tag("tbody", *lines)), class_="scroll")


def heading(text: str, small: str | None = None, left: bool = False) -> Markup:
    return tag("th", text, tag("small", small) if small else None, class_="left" if left else None)


def cell(text: str | None, small: str | Markup | None = None, class_: str | None = None) -> Markup:
    return tag("td", text, tag("small", small) if small else None, class_=class_)


def name(row: SystemRow, colour: dict[str, str]) -> Markup:
    """The row's name with its colour, and its schedule or sampled values below."""
    swatch = tag("span", class_="swatch", style=f"background:{colour[row.label]}")
    mark = join(Markup(" "), pill("reference")) if row.is_reference else None
    values = wording.params_text(row.params) if row.system is None else ""
    said = row.schedule in row.params.values() and row.system is None
    below = " · ".join(part for part in ("" if said else row.schedule, values, *marks(row)) if part)
    return cell(
        join(swatch, tag("strong", row.label) if row.system is not None else row.label, mark),
        below or None,
        "left wrap",
    )


def line(row: SystemRow, table: Sequence[SystemRow], *cells: Markup) -> Markup:
    first_sampled = next((other for other in table if other.system is None), None)
    kind = "reference" if row.is_reference else "divide" if row is first_sampled and row is not table[0] else None
    return tag("tr", *cells, class_=kind)


def spread(found: Spread | None, best: bool = False) -> Markup:
    return cell(wording.mean(found), wording.spread_text(found) or None, "best" if best else None)


def difference(found: Difference | None) -> Markup:
    if found is None:
        return cell(wording.NONE)
    limit = f"a resolved difference exceeds {found.half_width:.3f}" if found.half_width is not None else None
    return cell(wording.difference_text(found), pill(wording.verdict(found), "good" if found.resolved else "", limit))


def cost(row: SystemRow) -> Markup:
    """Executed TFLOP, and whether they agree with the reference's."""
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
    """The row that is ahead of all others that a metric compares; None where it has company or no rival."""
    table = comparable(table, name)
    fresh = any(row.confirmed for row in table)
    ranked = sorted(
        (row for row in table if name in row.metrics and row.confirmed >= fresh),
        key=lambda row: row.metrics[name].mean,
        reverse=metric(name).direction == "maximize",
    )
    return ranked[0] if len(ranked) > 1 and ranked[0].metrics[name].mean != ranked[1].metrics[name].mean else None
