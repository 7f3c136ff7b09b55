"""The searched space: every sampled configuration as a line through its values to its result."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pld_search.records.trial_record import TrialRecord
from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.scales import Scale, limit_of, tick_texts
from pld_search.report.drawing.svg_shapes import BAD, SOFT, Drawing, Group, Line, Mark, Shape, Text, fitted
from pld_search.report.drawing.svg_writer import figure
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_names import sampled_text, short

_ABSENCE = "not there"
MOST = 250
"""Maximum number of drawn configurations."""
_SMALL, _AXIS, _SIDE, _TOP, _HEIGHT, _ABSENT = 9.0, 118.0, 58.0, 46.0, 210.0, 34.0
_GRADES = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#8fc93a", "#e0b000")
"""Colours from the worst to the best sixth, perceptually even and distinguishable for colour-blind readers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched parameter: the position of a value on its axis, and the texts at the axis."""

    name: str
    x: float
    options: tuple[Any, ...] = ()
    scale: Scale | None = None

    def place(self, value: Any) -> float:
        """Returns the vertical position of a value."""
        if self.scale is not None:
            return self.scale.within(float(value))
        share = (self.options.index(value) + 0.5) / len(self.options)
        return _TOP + _HEIGHT * (1 - share)

    def marks(self) -> Iterator[tuple[float, str]]:
        """Yields (vertical position, text) of the texts at the axis."""
        if self.scale is None:
            yield from ((self.place(option), str(option)) for option in self.options)
        else:
            ticks = self.scale.ticks(4)
            yield from zip(map(self.scale.at, ticks), tick_texts(ticks), strict=True)


def body(facts: PageFacts) -> Markup | None:
    """Returns the picture; None for a study that sampled no parameters."""
    drawn = pictures(facts)
    if not drawn:
        return None
    caption = (
        "A line is a configuration: its values from left to right, then what came of it. Bright lines are "
        "the best sixth; "
        "dashed red ones diverged, dashed grey ones have no value: stopped early, rejected or not at their end."
    )
    if any(text.text == _ABSENCE for text in drawn[0].texts()):
        caption += " A line that dips below an axis has no such parameter: it belongs to another branch."
    return join(
        tag("div", *(figure(each) for each in drawn), class_="scroll wide"), tag("p", caption, class_="soft caption")
    )


def pictures(facts: PageFacts) -> list[Drawing]:
    """Draws the parallel coordinates, for page and PDF."""
    trials = [trial for trial in facts.view.study.trials.values() if trial.system is None and trial.asked.params]
    if not trials:
        return []
    values = _values(trials, facts)
    trials = sorted(trials, key=lambda trial: _rank(values[trial.number], facts.about.objectives.first.sign))
    trials = trials[:: -(-len(trials) // MOST)][-MOST:] if len(trials) > MOST else trials  # evenly over the ranks
    axes = _axes(trials)
    known = [value for value in values.values() if value is not None]
    goal = facts.about.objectives.first
    x = _SIDE + _AXIS * len(axes)
    far = goal.direction == "minimize" and known
    low, high = (min(known), limit_of(known) if far else max(known)) if known else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    top, bottom = _TOP, _TOP + _HEIGHT
    result = Scale(low, high, bottom, top) if goal.direction == "maximize" else Scale(low, high, top, bottom)
    last = Axis(goal.metric, x, scale=result)
    colours = _colours(trials, values, {row.trial for row in facts.sampled if row.diverged})
    lines = [_line(trial, axes, last, values[trial.number], colours[trial.number]) for trial in trials]
    shapes = [*lines, *_frame([*axes, last])]
    if any(axis.name not in trial.asked.params for trial in trials for axis in axes):
        shapes.append(Text(4, bottom + _ABSENT - 5, _ABSENCE, _SMALL, "start", SOFT))
    said = f"{len(trials)} configurations over {', '.join(axis.name for axis in axes)} and {goal.metric}"
    return [Drawing("searched", x + _SIDE, bottom + _ABSENT + 14, f"Parallel coordinates: {said}", shapes)]


def _axes(trials: Sequence[TrialRecord]) -> list[Axis]:
    """Returns the parameters in the order of the configurations; parameters of a branch follow their choice."""
    spaces: dict[str, Mapping[str, Any]] = {}
    for trial in sorted(trials, key=lambda trial: len(trial.asked.params), reverse=True):
        for name in trial.asked.params:
            spaces.setdefault(name, (trial.asked.distributions or {}).get(name) or {})
    order = sorted(spaces, key=lambda name: (name.startswith("schedule"), name.count("."), list(spaces).index(name)))
    return [
        _axis(
            name, spaces[name], [t.asked.params[name] for t in trials if name in t.asked.params], _SIDE + _AXIS * index
        )
        for index, name in enumerate(order)
    ]


def _axis(name: str, space: Mapping[str, Any], seen: Sequence[Any], x: float) -> Axis:
    given = space.get("attributes") or {}
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen)
    if not numeric or "choices" in given:
        choices = given.get("choices") or sorted({str(value) for value in seen})
        return Axis(name, x, tuple(dict.fromkeys([*choices, *(value for value in seen if value not in choices)])))
    low, high = float(given.get("low", min(seen))), float(given.get("high", max(seen)))
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    log = bool(given.get("log")) and low > 0
    return Axis(name, x, scale=Scale(low, high, _TOP + _HEIGHT, _TOP, log))


def _values(trials: Sequence[TrialRecord], facts: PageFacts) -> dict[int, float | None]:
    """Returns the first objective of each trial; None for a diverged trial or one without a value."""
    rows = {row.trial: row for row in facts.sampled}
    return {trial.number: _value(trial, rows.get(trial.number), facts.about.objective) for trial in trials}


def _value(trial: TrialRecord, row: SystemRow | None, name: str) -> float | None:
    if row is None or row.diverged:
        return None
    if name in row.metrics:
        return row.metrics[name].mean
    values = trial.told.values if trial.told is not None and not trial.violated else None
    return float(values[0]) if values and trial.complete else None


def _rank(value: float | None, sign: float) -> tuple[bool, float]:
    """Returns the sort key that puts the best trial last, so that it is drawn above all others."""
    return (value is not None, -sign * value if value is not None else 0.0)


def _colours(
    ordered: Sequence[TrialRecord], values: Mapping[int, float | None], diverged: Collection[int]
) -> dict[int, str]:
    """Returns colours by rank; the last trial (the best) is the brightest."""
    known = [trial.number for trial in ordered if values[trial.number] is not None]
    count, most = len(known), len(_GRADES)
    grades = {number: _GRADES[most - 1 - (count - 1 - place) * most // count] for place, number in enumerate(known)}
    return {number: BAD if number in diverged else SOFT for number in values} | grades


def _line(trial: TrialRecord, axes: Sequence[Axis], last: Axis, value: float | None, colour: str) -> Group:
    params, below = trial.asked.params, _TOP + _HEIGHT + _ABSENT - 8
    points = [(axis.x, axis.place(params[axis.name]) if axis.name in params else below) for axis in axes]
    end = last.place(value) if value is not None else None
    if end is not None:
        points.append((last.x, end))
    best = colour == _GRADES[-1]
    shapes: list[Shape] = [
        Line(points, colour, 1.6 if best else 1.0, None if end is not None else "3 3", 0.95 if best else 0.6)
    ]
    if end is not None:
        shapes.append(Mark(last.x, end, colour, 4.5))
    came = wording.number(value) if value is not None else trial.why or "no value"
    tip = f"trial {trial.number}: {sampled_text('', params).lstrip(', ')}; {last.name} {came}"
    return Group(shapes, tip, f"trial {trial.number}")


def _frame(axes: Sequence[Axis]) -> Iterator[Shape]:
    names: dict[str, Any] = {axis.name: None for axis in axes}
    for number, axis in enumerate(axes):
        yield Line([(axis.x, _TOP), (axis.x, _TOP + _HEIGHT)], SOFT, 1.0)
        final = number == len(axes) - 1
        title = axis.name if final else short(axis.name, names)
        yield Text(axis.x, _TOP - 26, fitted(title, 10.0, _AXIS - 8, bold=True), 10.0, "middle", bold=True)
        if final:
            yield Text(axis.x, _TOP - 13, "best at the top", _SMALL, "middle", SOFT)
        heights: list[float] = []
        for y, text in axis.marks():
            if all(abs(y - other) > _SMALL * 1.1 for other in heights):
                heights.append(y)
                yield Text(axis.x + 5, y + 3, fitted(text, _SMALL, _AXIS / 2 - 8), _SMALL, "start", SOFT)
