"""Differences to the reference on the primary metric, each with its interval and its verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.plot import SMALL, WIDTH
from pld_search.report.drawing.scales import Scale, around, tick_texts
from pld_search.report.drawing.svg_shapes import (
    RULE,
    SOFT,
    Area,
    Box,
    Drawing,
    Group,
    Line,
    Mark,
    Shape,
    Text,
    fitted,
    text_width,
)
from pld_search.report.drawing.svg_writer import figure, panels
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_colours import RowColours, looks
from pld_search.specs.metrics import metric, unit_text

_ROW, _TOP, _BOTTOM, _SIDE = 36.0, 12.0, 44.0, 10.0
_WORDS = 17.0
"""The part of a row's height for its name and its verdict."""
_FAR = 3.0
"""The axis reaches this many times the median half-width or difference; values beyond end in an arrow."""


def body(facts: PageFacts) -> Markup | None:
    """Returns the pictures and an explanation; None when no row can be compared."""
    found = pictures(facts)
    if not found:
        return None
    about = facts.about
    caption = (
        f"Each row that is judged, less {about.reference}. A line is the interval that holds for all rows at once "
        f"({wording.percent(1 - about.decide.alpha, 0)}); verdicts are on {about.decide.primary} alone."
    )
    if about.decide.margin is not None:
        caption += f" The band is the margin of {about.decide.margin}, within which rows count as equal."
    return join(panels(*map(figure, found)), tag("p", caption, class_="soft caption"))


def pictures(facts: PageFacts) -> list[Drawing]:
    """Returns a forest plot of the primary metric and one of each suite's average, for page and PDF; empty before a row
    has a difference.
    """
    primary, averages = str(facts.about.decide.primary), {name for row in facts.standing for name in row.differences}
    names = [primary, *sorted(name for name in averages if name.endswith("/average") and name != primary)]
    return [drawn for number, name in enumerate(names) if (drawn := _picture(number, name, facts)) is not None]


def _picture(number: int, name: str, facts: PageFacts) -> Drawing | None:
    rows = [row for row in facts.standing if not row.is_reference]
    if facts.reference is None or not any(name in row.differences for row in rows):
        return None
    judged, about = name == str(facts.about.decide.primary), facts.about
    margin, less = about.decide.margin_value if judged else None, metric(name).direction != "maximize"
    area = Box(_SIDE, _TOP, WIDTH - _SIDE, _TOP + _ROW * len(rows))
    scale = Scale(*_range(rows, name, margin), area.left, area.right)
    what = f"{name}{f' ({unit})' if (unit := unit_text(name)) else ''}, less that of {about.reference}"
    shapes = [
        *_frame(scale, area, margin),
        *_meaning(area, what, less),
        *_rows(rows, name, scale, area, looks(facts.table)),
    ]
    said = "; ".join(f"{row.label} {_result_text(row, name)}" for row in rows)
    alt = f"Differences to {about.reference} on {name}: {said}"
    return Drawing(f"differences{number}", WIDTH, area.bottom + _BOTTOM, alt, shapes)


def _range(rows: Sequence[SystemRow], name: str, margin: float | None) -> tuple[float, float]:
    found = [row.differences[name] for row in rows if name in row.differences]
    widths = [(each.interval[1] - each.interval[0]) / 2 for each in found if each.interval is not None]
    sizes = [*(abs(each.value) for each in found), margin or 0.0]
    reach = 1.15 * max([*sizes, *([_FAR * statistics.median(widths)] if widths else [])])
    ends = [end for each in found for end in (each.interval or (each.value, each.value))]
    low, high = max(min([*ends, -(margin or 0.0), 0.0]), -reach), min(max([*ends, margin or 0.0, 0.0]), reach)
    return around((low, high))


def _frame(scale: Scale, area: Box, margin: float | None) -> Iterator[Shape]:
    if margin is not None:
        left, right = scale.within(-margin), scale.within(margin)
        corners = [(left, area.top), (right, area.top), (right, area.bottom), (left, area.bottom)]
        yield Area(corners, "#009e73", 0.16)
    last = float("-inf")
    ticks = scale.ticks(6)
    for value, text in zip(ticks, tick_texts(ticks), strict=True):
        x = scale.at(value)
        yield from _vertical(x, area, RULE, 0.6)
        label = Text(x, area.bottom + 14, text, SMALL, "middle", SOFT)
        if label.box.left > last + 4:
            yield label
            last = label.box.right
    yield from _vertical(scale.within(0.0), area, SOFT, 1.2)


def _vertical(x: float, area: Box, colour: str, width: float) -> Iterator[Line]:
    """Yields the segments of a vertical line, with gaps at the names and verdicts above the intervals."""
    for row in range(round((area.bottom - area.top) / _ROW)):
        top = area.top + _ROW * row
        yield Line([(x, top + _WORDS), (x, top + _ROW)], colour, width)


def _meaning(area: Box, what: str, less: bool) -> Iterator[Shape]:
    """Yields the title of the axis, and the side on which rows are better."""
    better = "← better" if less else "better →"
    said = fitted(what, SMALL, area.right - area.left - text_width(better, SMALL) - 12)
    left, right = (better, said) if less else (said, better)
    yield Text(area.left, area.bottom + 33, left, SMALL, "start", SOFT)
    yield Text(area.right, area.bottom + 33, right, SMALL, "end", SOFT)


def _rows(
    rows: Sequence[SystemRow], name: str, scale: Scale, area: Box, look: dict[str, RowColours]
) -> Iterator[Shape | Group]:
    for index, row in enumerate(rows):
        top = area.top + _ROW * index
        words = wording.verdict(row, name) or row.no_verdict or ("" if row.finished else "no result yet")
        verdict = Text(area.right, top + 13, words.removesuffix(" would decide"), SMALL, "end", SOFT)
        label = fitted(row.label, 10.5, area.right - area.left - (verdict.box.right - verdict.box.left) - 14, bold=True)
        shapes: list[Shape] = [Text(area.left, top + 13, label, 10.5, bold=True), verdict]
        shapes += _interval(row, name, scale, top + 24, look[row.label])
        yield Group(shapes, f"{row.label}: {_result_text(row, name)}", row.label)


def _interval(row: SystemRow, name: str, scale: Scale, y: float, look: RowColours) -> Iterator[Shape]:
    found = row.differences.get(name)
    if found is None:
        return
    if found.interval is not None:
        ends = [(scale.within(end), end) for end in found.interval]
        yield Line([(ends[0][0], y), (ends[1][0], y)], look.colour, 2.0)
        for x, end in ends:
            if scale.low <= end <= scale.high:
                yield Line([(x, y - 4), (x, y + 4)], look.colour, 1.4)
            else:
                back = 6.0 if end < scale.low else -6.0
                yield Area([(x, y), (x + back, y - 4), (x + back, y + 4)], look.colour)
    yield Mark(scale.within(found.value), y, look.colour, 9.0, look.shape if found.verdict is not None else "ring")


def _result_text(row: SystemRow, name: str) -> str:
    found = row.differences.get(name)
    words = wording.verdict(row, name) or row.no_verdict
    if found is None:
        return words or "no result yet"
    text = wording.difference_text(found)
    if found.interval is not None:
        low, high = found.interval
        text += f" ({wording.signed(low)} to {wording.signed(high)})"
    seeds = f"{found.seeds} seed{'s' if found.seeds != 1 else ''} in common"
    return ", ".join(part for part in (text, words, seeds) if part)
