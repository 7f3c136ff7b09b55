"""Draws one schedule: how often each layer is kept over the run, theta, and the number of expected layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pld_search.report import print_style
from pld_search.schedules.existing_layers import Layers, layers_at
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 201
COLOURS = "viridis"  # perceptually uniform: 0.9 and 1.0 differ as visibly as 0.5 and 0.6


def sampled_run(schedule: Schedule, steps: int, layers: Layers) -> tuple[Any, Any, Any]:
    """Returns progress (N,), theta (N,) and keep probabilities (N, L) at up to 201 steps from 0 to T, T included."""
    at = np.unique(np.linspace(0, steps, POINTS).round().astype(np.int64))
    return at / steps, schedule.theta(at, steps), schedule.keep_probabilities(at, steps, layers)


def schedule_figure(schedule: Schedule, steps: int, layers: Layers) -> Figure:
    """Draws a heat map (layer by progress) beside theta and the expected share of layers. Make and save it inside
    `print_style.printed()`.

    Layers that do not exist yet are blank; the number of existing layers has its own line.
    """
    from matplotlib.figure import Figure

    progress, theta, keep = sampled_run(schedule, steps, layers)
    stack, exist = layers_at(layers), layers_at(layers).at((progress * steps).round())
    figure = Figure(figsize=(6.4, 2.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _heat_map(figure, left, np.where(np.arange(stack.final) < exist[:, None], keep, np.nan), stack.final)
    if len(stack.sizes) > 1:
        right.step(
            progress,
            exist / stack.final,
            where="post",
            color="#8a8f98",
            linewidth=1.4,
            linestyle=(0, (4, 2)),
            label=f"layers there are / {stack.final}",
        )
    right.plot(progress, theta, color="#d55e00", linewidth=1.6, label="theta")
    right.plot(progress, keep.mean(axis=-1), color="#0072b2", linewidth=1.6, label=f"expected layers / {stack.final}")
    right.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="progress")
    right.legend(loc="lower left" if len(stack.sizes) == 1 else "lower right", fontsize=8.5)
    return figure


def _heat_map(figure: Figure, axis: Axes, keep: Any, layers: int) -> None:
    image = axis.imshow(
        keep.T,
        origin="lower",
        aspect="auto",
        extent=(0, 1, 0.5, layers + 0.5),
        vmin=0,
        vmax=1,
        cmap=COLOURS,
        interpolation="nearest",
    )
    axis.grid(False)
    axis.set(xlabel="progress", ylabel="layer")
    axis.set_yticks(layer_ticks(layers))
    bar = figure.colorbar(image, ax=axis, pad=0.02, aspect=12)
    bar.outline.set_visible(False)


def layer_ticks(layers: int) -> list[int]:
    """Returns the first, the middle and the last layer."""
    return sorted({1, (layers + 1) // 2, layers})


def schedule_png(schedule: Schedule, steps: int, layers: Layers) -> bytes:
    """Returns the picture as a PNG for the tracker's artifacts."""
    with print_style.printed():
        return print_style.to_png(schedule_figure(schedule, steps, layers))


def picture(experiment: Mapping[str, Any], path: Path) -> None:
    """Draws the schedule of a run into `path`, a PNG. The mirror receives this function, because tracking does not
    import the report room.

    `experiment` is the canonical Experiment from the run's first event.
    """
    what = Experiment.model_validate(experiment)
    path.write_bytes(schedule_png(what.schedule, what.steps, what.layers_at))
