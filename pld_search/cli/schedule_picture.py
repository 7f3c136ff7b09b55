"""Draws a schedule in characters: for each layer and for theta a row of bars over the progress, and a table of a few
points of the run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pld_search.cli.output import PLAIN_WIDTH, wrapped
from pld_search.costs.expected_depth import Expected
from pld_search.schedules.schedule import Schedule

BARS, _BESIDE = 64, 23
"""Maximum number of characters of a row of bars, and number of characters beside it."""
LEVELS, PLAIN_LEVELS = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
_MOMENTS = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)
_MOST_ROWS = 24
_NEARLY = 0.0005
_RESCALES = {
    "sublayer": "1/p on each residual of a kept layer",
    "block": "1/p on the residual of a kept block",
    "none": "a kept layer runs as it is",
    "evaluation": "a kept layer runs as it is; p on every residual at evaluation",
    "deepspeed": "1/p on each residual, with the p of the next layer",
}
_SKIPPED = {
    "freeze": "no update of a dropped layer",
    "decay": "weight decay alone moves a dropped layer",
    "zero_grad": "a dropped layer has a gradient of zero, momentum moves it on",
}


def picture(
    schedule: Schedule, expected: Expected, encoding: str | None = None, *, width: int = PLAIN_WIDTH
) -> Iterator[str]:
    """Yields the lines of the picture, at most `width` columns; plain characters when the output cannot show blocks."""
    bars = min(BARS, 4 * ((width - _BESIDE) // 4))
    levels = _characters(encoding or sys.stdout.encoding or "ascii")
    steps, layers = expected.steps, expected.layers
    at = np.linspace(0, steps, bars).round().astype(np.int64)
    keep, theta = schedule.keep_probabilities(at, steps, layers), schedule.theta(at, steps)
    name = schedule.name or "schedule"
    yield from wrapped(f"{name}: {schedule.about}" if schedule.about else name, width)
    yield from conventions(schedule, width)
    yield ""
    legend = f"blank is 0, {levels[1]} to {levels[-2]} between, {levels[-1]} 1"
    yield from wrapped(f"keep probability by layer and progress through {steps:,} steps: {legend}", width)
    yield f"layer  {'':{bars}}     mean    end"
    for layer in _rows(layers):
        yield (
            f"{layer + 1:>5} |{_bars(levels, keep[:, layer])}| "
            f"{expected.keep_probabilities_mean[layer]:>7.3f}{keep[-1, layer]:>7.3f}"
        )
    yield f"theta |{_bars(levels, theta)}| {'':>7}{theta[-1]:>7.3f}"
    yield f"{'0 %':>9}" + "".join(f"{share:>{bars // 4}}" for share in ("25 %", "50 %", "75 %", "100 %"))
    yield ""
    yield from _table(schedule, expected)
    yield ""
    kept = f"{expected.expected_layers_mean:.2f} over the run, {expected.expected_layers_end:.2f} at the end"
    yield from wrapped(f"expected layers: {kept}, of {layers}", width)
    deviates = f"{expected.layers_std:.2f} layers (one standard deviation, averaged over the run)"
    yield from wrapped(f"a plan deviates from that by {deviates}", width)
    yield f"saved of the blocks' FLOPs: {100 * expected.saved_block_flops:.1f} %"


def conventions(schedule: Schedule, width: int = PLAIN_WIDTH) -> Iterator[str]:
    """Yields every resolved convention, a line for each part (and each phase), with an explanation of terse words."""
    yield from _part("temporal:", schedule.temporal.model_dump(mode="json"), width)
    yield from _part("depth:", schedule.depth.model_dump(mode="json"), width)
    yield from _part("draw:", schedule.draw.model_dump(mode="json"), width)
    yield from _labelled_lines("rescale:", f"{schedule.rescale} ({_RESCALES[schedule.rescale]})", width)
    yield from _labelled_lines("skipped:", f"{schedule.skipped} ({_SKIPPED[schedule.skipped]})", width)
    if schedule.run is not None:
        yield f"  run:      {schedule.run}, and no other number"


def _labelled_lines(head: str, text: str, width: int) -> Iterator[str]:
    lines = wrapped(text, width - 12, 0)
    yield f"  {head:<9} {next(lines)}"
    yield from (" " * 12 + line for line in lines)


def _part(head: str, values: dict[str, Any], width: int) -> Iterator[str]:
    phases = values.pop("phases", ())
    words = [values.pop("kind"), *(f"{key} {_written(value)}" for key, value in values.items())]
    yield from _labelled_lines(head, ", ".join(words), width)
    for phase in phases:
        yield from _part(f"  until {phase['until']}:", phase["temporal"], width)


def _written(value: Any) -> str:
    """Formats a value as in a file: `{0 %: 0.5, 30 %: 1.0}` for pairs, `[first, 3]` for a list."""
    if isinstance(value, list) and all(isinstance(item, list) for item in value):
        return f"{{{', '.join(f'{place}: {_written(share)}' for place, share in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if value == "1 steps":
        return "1 step"
    return repr(round(value, 6)) if isinstance(value, float) else str(value)


def _characters(encoding: str) -> str:
    try:
        LEVELS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN_LEVELS
    return LEVELS


def _bars(levels: str, values: Any) -> str:
    return "".join(_bar(levels, float(value)) for value in values)


def _bar(levels: str, value: float) -> str:
    """Returns the bar of a probability: the first bar only for 0 and the last only for 1 (to three decimals); the
    others share the range between.
    """
    if value < _NEARLY or value > 1 - _NEARLY:
        return levels[round(value) * -1]
    return levels[min(max(round(value * (len(levels) - 1)), 1), len(levels) - 2)]


def _rows(layers: int) -> Sequence[int]:
    """Returns the layers to draw, the last layer first; in a deep encoder every n-th, including the first and last."""
    if layers <= _MOST_ROWS:
        return range(layers - 1, -1, -1)
    return sorted({round(value) for value in np.linspace(0, layers - 1, _MOST_ROWS)}, reverse=True)


def _table(schedule: Schedule, expected: Expected) -> Iterator[str]:
    yield f"{'progress':>10}{'step':>12}{'theta':>9}{'layers':>9}"
    at = np.array([round(moment * expected.steps) for moment in _MOMENTS])
    theta: Any = schedule.theta(at, expected.steps)
    kept: Any = schedule.keep_probabilities(at, expected.steps, expected.layers).sum(axis=-1)
    for moment, step, rate, layers in zip(_MOMENTS, at, theta, kept, strict=True):
        yield f"{moment:>10.2f}{step:>12,}{rate:>9.3f}{layers:>9.2f}"
