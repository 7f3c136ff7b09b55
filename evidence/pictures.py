"""The pictures of the results page: one function for each stage. Each writes an SVG that is the same on every machine
with this version of matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from evidence.contrasts import MARGIN
from evidence.designs import RATES, row_of, word

Values = Mapping[str, Mapping[int, float]]
COLOURS = {"full": "#222222", "falling": "#d1495b", "constant": "#edae49", "rising": "#00798c"}
RULES = {
    "svg.hashsalt": "evidence",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def drawing(path: Path, columns: int = 1, size: tuple[float, float] = (6.4, 3.2)) -> Iterator[Any]:
    """Yields the axes of a figure (`columns` axes with a common y), written to `path` when the context ends."""
    with matplotlib.rc_context(RULES):
        figure, axes = pyplot.subplots(
            1, columns, figsize=size, sharey=columns > 1, squeeze=False, layout="constrained"
        )
        yield axes[0] if columns > 1 else axes[0, 0]
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def differences(values: Values, rows: Sequence[str], reference: str, path: Path) -> None:
    """Draws every row's difference to the reference: a dot for each seed, a bar for their mean, the margin of
    equivalence as a band.
    """
    with drawing(path) as axes:
        others = [row for row in rows if row != reference]
        axes.axvspan(-MARGIN, MARGIN, color="#dddddd", zorder=0)
        axes.axvline(0, color="#222222", linewidth=0.8)
        for place, row in enumerate(reversed(others)):
            apart = [
                loss - values[reference][seed]
                for seed, loss in values.get(row, {}).items()
                if seed in values[reference]
            ]
            axes.plot(apart, [place] * len(apart), "o", color="#00798c", alpha=0.7, markersize=4)
            if apart:
                axes.plot([sum(apart) / len(apart)], [place], "|", color="#d1495b", markersize=14, markeredgewidth=2)
        axes.set_yticks(range(len(others)), list(reversed(others)))
        axes.set_xlabel(f"test/loss less that of {reference} at the same seed (nats); grey: within {MARGIN}")


def rates(
    losses: Mapping[str, Mapping[float, float]], layers: Sequence[int], schedules: Sequence[str], path: Path
) -> None:
    """Draws the loss over the learning rate, one panel for each depth."""
    with drawing(path, columns=len(layers)) as panels:
        for axes, depth in zip(panels, layers, strict=True):
            for kind in schedules:
                points = sorted(losses[row_of(depth, kind)].items())
                axes.plot(
                    [lr for lr, _ in points],
                    [loss for _, loss in points],
                    "o-",
                    color=COLOURS[kind],
                    markersize=4,
                    label=kind,
                )
            axes.set_xscale("log")
            axes.minorticks_off()
            axes.set_xticks(sorted(RATES), [word(rate) for rate in sorted(RATES)])
            axes.set_title(f"{depth} layers", fontsize=9)
            axes.set_xlabel("learning rate")
        panels[0].set_ylabel("valid/loss (nats)")
        panels[-1].legend(frameon=False)


def frontier(values: Values, layers: Sequence[int], schedules: Sequence[str], path: Path) -> None:
    """Draws the loss over depth at equal FLOPs: a dot for each seed, a line through the means of each schedule."""
    with drawing(path) as axes:
        for shift, kind in enumerate(schedules):
            found = {
                depth: list(values[row_of(depth, kind)].values()) for depth in layers if values.get(row_of(depth, kind))
            }
            x = {depth: depth + 0.06 * (shift - (len(schedules) - 1) / 2) for depth in found}
            axes.plot(
                [x[depth] for depth in found],
                [sum(of) / len(of) for of in found.values()],
                "-",
                color=COLOURS[kind],
                label=kind,
            )
            for depth, of in found.items():
                axes.plot([x[depth]] * len(of), of, "o", color=COLOURS[kind], markersize=3, alpha=0.7)
        axes.set_xticks(list(layers))
        axes.set_xlabel("layers")
        axes.set_ylabel("test/loss (nats)")
        axes.legend(frameon=False)


def effects(factors: Mapping[str, Sequence[str]], means: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draws the fitted means of every factor's levels, one panel for each factor."""
    with drawing(path, columns=len(factors), size=(9.0, 3.0)) as panels:
        for axes, (factor, names) in zip(panels, factors.items(), strict=True):
            axes.plot(range(len(names)), means[factor], "o-", color="#00798c")
            axes.set_xticks(range(len(names)), names, rotation=30)
            axes.set_title(factor, fontsize=9)
        panels[0].set_ylabel("test/loss (nats)")
