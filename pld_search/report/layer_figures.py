"""Draws layer analyses: all systems in one panel for each question, and the course over the steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pld_search.records.layer_analysis import LayerAnalysis, Values
from pld_search.report.print_style import INK, escaped, printed, to_png
from pld_search.report.row_colours import PALETTE
from pld_search.report.single_schedule_figure import layer_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = Sequence[tuple[int, LayerAnalysis]]
"""(step, analysis) of one run, by step; never empty."""
SERIES = 3
"""Minimum number of analyses of a run for a picture over steps."""
_SHOWN = 6  # maximum number of columns of heat maps
Panel = tuple[str, Callable[[LayerAnalysis], Values | None]]
PANELS: tuple[Panel, ...] = (
    ("gradient norm of a layer", lambda found: found.gradients["block"]),
    ("L2 distance of input and output", lambda found: found.distance),
    ("cosine of input and output", lambda found: found.cosine),
    ("cosine of neighbouring updates", lambda found: found.updates),
    ("loss gained without the layer (nats)", lambda found: found.increases),
)
_OVER_STEPS = (PANELS[0], PANELS[2], PANELS[4])


def _values(values: Values | None) -> Any:
    return np.array([np.nan if value is None else value for value in values or ()], dtype=np.float64)


def last_figure(systems: Mapping[str, Series], colours: Mapping[str, str] | None = None) -> Figure:
    """Draws the last analysis of every system, one panel for each question. Make and save it inside `printed()`."""
    from matplotlib.figure import Figure

    colours = colours or {label: PALETTE[place % len(PALETTE)] for place, label in enumerate(systems)}
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, (title, of) in zip(axes, PANELS, strict=False):
        _lines(axis, {label: _values(of(series[-1][1])) for label, series in systems.items()}, colours)
        axis.set_title(title)
        axis.set_xlabel("layer")
    if all((_values(series[-1][1].gradients["block"]) > 0).all() for series in systems.values()):
        axes[0].set_yscale("log")
    axes[4].axhline(0.0, color=INK, linewidth=0.8)
    _elasticity(axes[5], systems, colours)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def _lines(axis: Axes, values: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    for label, line in values.items():
        axis.plot(
            np.arange(1, len(line) + 1), line, color=colours[label], marker="o", markersize=3.5, label=escaped(label)
        )
    deepest = max((len(line) for line in values.values()), default=1)
    axis.set_xticks(layer_ticks(max(deepest, 1)))


def _elasticity(axis: Axes, systems: Mapping[str, Series], colours: Mapping[str, str]) -> None:
    """Draws the loss with fewer layers. Solid: the best layers found; dashed: the k lowest."""
    if not any(found.elasticity for series in systems.values() for _, found in series):
        axis.axis("off")  # an unfinished run has no curve
        return
    axis.set_title("loss with fewer layers (nats)")
    axis.set_xlabel("layers kept (dashed: the lowest)")
    for label, series in systems.items():
        curve = next((found.elasticity for _, found in reversed(series) if found.elasticity is not None), None)
        if curve is not None:
            kept = np.arange(1, len(curve.best) + 1)
            axis.plot(kept, _values(curve.best), color=colours[label], marker="o", markersize=3.5)
            axis.plot(kept, _values(curve.lowest), color=colours[label], linestyle=(0, (4, 3)), linewidth=1.0)
            axis.set_xticks(layer_ticks(len(kept)))


def series_figure(systems: Mapping[str, Series]) -> Figure | None:
    """Draws layers against steps, one column for each system and one row for each question; None when no run has enough
    analyses.
    """
    from matplotlib.figure import Figure

    often = {label: series for label, series in systems.items() if len(series) >= SERIES}
    shown = dict(list(often.items())[:_SHOWN])
    if not shown:
        return None
    figure = Figure(figsize=(max(4.2, 0.9 + 2.2 * len(shown)), 5.6), layout="constrained")
    axes = figure.subplots(len(_OVER_STEPS), len(shown), squeeze=False, sharex="col")
    for row, (title, of) in zip(axes, _OVER_STEPS, strict=True):
        _heat_maps(row, title, {label: [(step, of(found)) for step, found in each] for label, each in shown.items()})
    for axis, label in zip(axes[0], shown, strict=True):
        axis.set_title(escaped(label), fontweight="bold")
    for axis in axes[-1]:
        axis.set_xlabel("step")
    return figure


def _heat_maps(row: Sequence[Axes], title: str, systems: Mapping[str, list[tuple[int, Values | None]]]) -> None:
    """Draws heat maps with one colour scale for all systems, so that they are comparable."""
    from matplotlib.colors import LogNorm, Normalize

    grids = {label: _grid([values for _, values in series]) for label, series in systems.items()}
    every = np.concatenate([grid[np.isfinite(grid)] for grid in grids.values()] or [np.zeros(1)])
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    norms = title == PANELS[0][0] and low > 0
    scale = LogNorm(low, max(high, low * 1.01)) if norms else Normalize(low, high)
    image = None
    for axis, (label, series) in zip(row, systems.items(), strict=True):
        edges = _edges([step for step, _ in series])
        image = axis.pcolormesh(
            edges,
            np.arange(0.5, grids[label].shape[1] + 1),
            grids[label].T,
            norm=scale,
            cmap="viridis",
            rasterized=True,
        )
        axis.grid(False)
        axis.locator_params(axis="x", nbins=4)
    row[0].set_ylabel("layer")
    if image is not None:
        bar = row[-1].figure.colorbar(image, ax=list(row), pad=0.01, aspect=14)
        bar.set_label(title.replace(" (nats)", ",\nnats"), fontsize=8)
        bar.outline.set_visible(False)


def _grid(rows: Sequence[Values | None]) -> Any:
    """Returns an array (analyses, layers); layers that a growing stack did not have yet stay blank (NaN)."""
    deepest = max(len(values or ()) for values in rows)
    grid = np.full((len(rows), deepest), np.nan)
    for index, values in enumerate(rows):
        grid[index, : len(values or ())] = _values(values)
    return grid


def _edges(steps: Sequence[int]) -> Any:
    """Returns cell borders half-way between the steps."""
    at = np.asarray(steps, dtype=np.float64)
    inner = (at[1:] + at[:-1]) / 2
    return np.concatenate(([at[0]], inner, [at[-1]]))


def write_pictures(name: str, series: Series, folder: Path) -> None:
    """Writes `layers.png` of one run, and with enough analyses `layers-over-steps.png`."""
    save({name: series}, folder / "layers.png")
    with printed():
        over_steps = series_figure({name: series})
        if over_steps is not None:
            (folder / "layers-over-steps.png").write_bytes(to_png(over_steps))


def save(systems: Mapping[str, Series], file: Path) -> None:
    """Writes the picture of the last analyses as PNG or SVG, by the suffix of the file's name. Raises OSError."""
    with printed():
        figure = last_figure(systems)
        metadata = {"Date": None} if file.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(file, dpi=144, facecolor="white", metadata=metadata)
