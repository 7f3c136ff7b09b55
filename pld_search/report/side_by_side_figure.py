"""Draws schedules side by side as a stand-alone picture: one column for each, with keep probabilities, theta, the
expected layers and the saving so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pld_search.costs.expected_depth import layers_variance
from pld_search.report import print_style
from pld_search.report.single_schedule_figure import COLOURS, layer_ticks, sampled_run
from pld_search.schedules.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMNS = 4
FORMATS = (".png", ".svg", ".pdf")
_UNDATED: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
_HEIGHTS = (1.9, 1.0, 1.2, 1.2)
_NOTE: dict[str, Any] = {"loc": "right", "fontsize": 8, "pad": 3}
_THETA, _LAYERS, _SAVED = "#d55e00", "#0072b2", "#007a5a"


@dataclass(frozen=True, slots=True)
class ScheduleColumn:
    """The numbers drawn for one schedule: progress, theta, expected layers and their standard deviation (N,), keep (N,
    L), saved (N,).

    saved: blocks saved up to each point, in percent of all blocks of the run; the last value is the saving of the whole
    run.
    """

    title: str
    words: str
    progress: Any
    theta: Any
    keep: Any
    layers: Any
    deviation: Any
    saved: Any


def column(title: str, schedule: Schedule, steps: int, layers: int) -> ScheduleColumn:
    """Returns the numbers of one schedule. Raises ConfigError when it is for another number of steps or layers."""
    progress, theta, keep = sampled_run(schedule, steps, layers)
    return ScheduleColumn(
        title=title,
        words=words_of(schedule),
        progress=progress,
        theta=theta,
        keep=keep,
        layers=keep.sum(axis=-1),
        deviation=np.sqrt(layers_variance(schedule.draw, keep)),
        saved=100 * saved_by(schedule, (progress * steps).round().astype(np.int64), steps, layers),
    )


def saved_by(schedule: Schedule, at: Any, steps: int, layers: int) -> Any:
    """Returns the blocks that were skipped before each of the ascending steps `at`, as a share of the run's steps x
    layers, from exact sums without interpolation.
    """
    saved, total, previous = np.zeros(len(at)), 0.0, 0
    for index, step in enumerate(at.tolist()):
        if step > previous:
            total += float((1.0 - schedule.keep_probabilities(np.arange(previous, step), steps, layers)).sum())
        saved[index], previous = total, step
    return saved / (steps * layers)


def words_of(schedule: Schedule) -> str:
    """Returns the conventions in two lines, which stand under the schedule's name."""
    depth, draw = schedule.depth, schedule.draw
    index = getattr(depth, "index", None)
    profile = (
        depth.kind
        + (f" {index}" if index else "")
        + (f", always {' '.join(map(str, depth.always))}" if depth.always else "")
    )
    return f"{schedule.temporal.kind} × {profile}\n{draw.kind} per {draw.per}, {draw.unit}; rescale {schedule.rescale}"


def schedules_figure(columns: Sequence[ScheduleColumn], steps: int, layers: int) -> Figure:
    """Draws the picture, in rows of up to four schedules. Make and save it inside `print_style.printed()`."""
    from matplotlib.figure import Figure

    width = -(-len(columns) // -(-len(columns) // COLUMNS))  # rows of nearly equal length: six become three and three
    rows = [columns[start : start + width] for start in range(0, len(columns), width)]
    figure = Figure(figsize=(1.1 + max(3.0 * width, 4.6), 6.3 * len(rows) + 0.3), layout="constrained")
    top = max(10.0, 1.08 * max(float(each.saved[-1]) for each in columns))
    least = min(float(each.theta.min()) for each in columns)
    for row, part in zip(rows, figure.subfigures(len(rows), 1, squeeze=False)[:, 0], strict=True):
        _row(part, row, width, layers, (0.0 if least < 0.25 else least - 0.1, top))
    figure.supxlabel(f"progress through {steps:,} steps", fontsize=9.5)
    return figure


def _row(
    figure: SubFigure, columns: Sequence[ScheduleColumn], width: int, layers: int, limits: tuple[float, float]
) -> None:
    axes = figure.subplots(len(_HEIGHTS), width, squeeze=False, sharex=True, sharey="row", height_ratios=_HEIGHTS)
    for number, each in enumerate(columns):
        image = _heat_map(axes[0, number], each, layers)
        _curves(axes[1:, number], each, layers, limits)
    for empty in axes[:, len(columns) :].flat:
        empty.axis("off")  # an empty axis keeps its place, so that the columns of all rows are aligned
    for axis, label in zip(
        axes[:, 0],
        ("layer", "theta", f"layers of {layers},\n± 1 std of a draw", "saved so far,\n% of all blocks"),
        strict=True,
    ):
        axis.set_ylabel(label)
    bar = figure.colorbar(image, ax=axes[0, :].tolist(), pad=0.01, aspect=14, ticks=(0, 0.5, 1))
    bar.set_label("kept with probability")
    bar.outline.set_visible(False)


def _heat_map(axis: Axes, each: ScheduleColumn, layers: int) -> Any:
    axis.set_title(print_style.escaped(each.title), fontsize=_fitting(each.title, 11.0, 27), fontweight="bold", pad=25)
    words: dict[str, Any] = {"fontsize": _fitting(each.words, 7.5, 52), "va": "bottom", "alpha": 0.85}
    axis.annotate(
        print_style.escaped(each.words),
        (0, 1),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        **words,
    ).set_in_layout(False)
    image = axis.pcolormesh(
        _edges(each.progress), np.arange(0.5, layers + 1), each.keep.T, vmin=0, vmax=1, cmap=COLOURS, rasterized=True
    )
    axis.grid(False)
    axis.set_yticks(layer_ticks(layers))
    return image


def _fitting(text: str, size: float, letters: int) -> float:
    """Returns a font size at which every line fits over its column, which holds `letters` letters at `size`. The text
    is made smaller, never cut.
    """
    longest = max(map(len, text.splitlines()), default=0)
    return size * min(1.0, letters / max(longest, 1))


def _edges(progress: Any) -> Any:
    """Returns cell borders half-way between the sampled points, from 0 to 1."""
    return np.concatenate(([0.0], (progress[1:] + progress[:-1]) / 2, [1.0]))


def _curves(axes: Any, each: ScheduleColumn, layers: int, limits: tuple[float, float]) -> None:
    theta, kept, saved = axes
    theta.plot(each.progress, each.theta, color=_THETA, linewidth=1.7)
    theta.set(xlim=(0, 1), ylim=(limits[0], 1.04))
    kept.fill_between(
        each.progress,
        np.maximum(each.layers - each.deviation, 0),
        np.minimum(each.layers + each.deviation, layers),
        color=_LAYERS,
        alpha=0.18,
        linewidth=0,
    )
    kept.plot(each.progress, each.layers, color=_LAYERS, linewidth=1.7)
    kept.set(ylim=(0, layers * 1.04), yticks=[0, *layer_ticks(layers)[-2:]])
    saved.fill_between(each.progress, each.saved, color=_SAVED, alpha=0.14, linewidth=0)
    saved.plot(each.progress, each.saved, color=_SAVED, linewidth=1.7)
    saved.set(ylim=(0, limits[1]), xticks=(0, 0.25, 0.5, 0.75, 1), xticklabels=("0", "", "½", "", "1"))
    theta.set_title(f"{each.theta[-1]:.3f} at the end", **_NOTE)
    kept.set_title(f"{layers * (1 - each.saved[-1] / 100):.2f} over the run, {each.layers[-1]:.2f} at the end", **_NOTE)
    saved.set_title(f"{each.saved[-1]:.1f} % over the run", **_NOTE)


def save(columns: Sequence[ScheduleColumn], steps: int, layers: int, file: Path) -> None:
    """Writes the picture as PNG, SVG or PDF, by the suffix of the file's name. Raises OSError."""
    with print_style.printed():
        figure = schedules_figure(columns, steps, layers)
        metadata = _UNDATED.get(file.suffix.lower(), {"Software": None})
        figure.savefig(file, dpi=150, facecolor="white", metadata=metadata)
