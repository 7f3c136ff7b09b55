"""Stage C: which convention of dropping matters, by a factorial model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pld_search.statistics.simultaneous import holm

from evidence.contrasts import ALPHA
from evidence.factorial import BLOCKS, FACTORS, fit, layout
from evidence.pages import Part, looks, losses, nats, table
from evidence.pictures import effects
from evidence.reading import Run
from pld_search.statistics.spread import Spread

FULL = "full"


def part(runs: Sequence[Run]) -> Part:
    """The stage's part of the page."""
    cells = layout()
    expected = len(cells) + BLOCKS
    values = {row: next(iter(of.values())) for row, of in losses(runs).items() if row != FULL}
    there = [cell for cell in cells if cell.name in values]
    text, data = looks(expected, runs), dict[str, Any]()
    full = [run.loss for run in runs if run.row == FULL and run.loss is not None]
    if full:
        spread = Spread.of(full)
        data["full"] = {"mean": spread.mean, "sd": spread.sd, "n": spread.n}
        text += (
            f"\n\n`full` at a rate of 2e-3, {spread.n} seeds: {nats(spread.mean)}, sd {nats(spread.sd) or 'unknown'}."
        )
    pictures = {}
    if len(runs) == expected:
        try:
            fitted = fit(there, [values[cell.name] for cell in there])
        except ValueError as error:
            return Part(
                "C", "which convention matters, equal FLOPs", expected, runs, f"{text}\n\nNo test: {error}.", data
            )
        adjusted = holm([each.p for each in fitted.tested])
        lines = []
        for each, p in zip(fitted.tested, adjusted, strict=True):
            lines.append(
                [
                    each.term,
                    str(each.freedom),
                    f"{each.f:.2f}",
                    f"{each.p:.2g}",
                    f"{p:.2g}",
                    "**moves the loss**" if p <= ALPHA else "undecided",
                ]
            )
        data |= {
            "terms": {
                each.term: {"f": each.f, "p": each.p, "adjusted": p}
                for each, p in zip(fitted.tested, adjusted, strict=True)
            }
        }
        data |= {
            "sd": fitted.sd,
            "freedom": fitted.freedom,
            "means": {factor: list(of) for factor, of in fitted.means.items()},
        }
        means = [
            [factor, *[f"{name} {nats(mean)}" for name, mean in zip(names, fitted.means[factor], strict=True)]]
            for factor, names in FACTORS.items()
        ]
        text += f"\n\nResidual {nats(fitted.sd)} nats, {fitted.freedom} degrees of freedom.\n\n"
        text += table(["term", "df", "F", "p", "p (Holm)", "verdict"], lines) + "\n\nFitted means:\n\n"
        text += table(["factor", "level", "level", "level"], [[*line, *[""] * (4 - len(line))] for line in means])
        pictures = {"c.svg": partial(effects, FACTORS, fitted.means)}
    return Part("C", "which convention matters, equal FLOPs", expected, runs, text, data, pictures)
