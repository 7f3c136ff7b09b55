"""Stage C: the effects of the conventions of layer dropping, by a factorial model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from evidence.contrasts import ALPHA
from evidence.factorial import BLOCKS, FACTORS, Fit, fit, layout
from evidence.pages import Part, looks, losses, nats, table
from evidence.pictures import effects
from evidence.reading import Run
from pld_search.statistics.simultaneous import holm
from pld_search.statistics.spread import Spread

FULL, TITLE = "full", "which convention matters, equal FLOPs"


def part(runs: Sequence[Run]) -> Part:
    """Returns the stage's section of the page."""
    cells = layout()
    expected = len(cells) + BLOCKS
    text, data = looks(expected, runs), dict[str, Any]()
    full = [run.loss for run in runs if run.row == FULL and run.loss is not None]
    if full:
        spread = Spread.of(full)
        data["full"] = {"mean": spread.mean, "sd": spread.sd, "n": spread.n}
        of_seeds = f"{spread.n} {'seed' if spread.n == 1 else 'seeds'}"
        text += f"\n\n`full` at a rate of 2e-3, {of_seeds}: {nats(spread.mean)}, sd {nats(spread.sd) or 'unknown'}."
    if len(runs) < expected:
        return Part("C", TITLE, expected, runs, text, data)
    values = {row: next(iter(of.values())) for row, of in losses(runs).items()}
    there = [cell for cell in cells if cell.name in values]
    try:
        fitted = fit(there, [values[cell.name] for cell in there])
    except ValueError as error:
        return Part("C", TITLE, expected, runs, f"{text}\n\nNo test: {error}.", data)
    tests, tested = terms_table(fitted)
    text += f"\n\nResidual {nats(fitted.sd)} nats, {fitted.freedom} degrees of freedom.\n\n{tests}"
    text += f"\n\nFitted means:\n\n{means_table(fitted)}"
    data |= {"terms": tested, "sd": fitted.sd, "freedom": fitted.freedom}
    data |= {"means": {factor: list(means) for factor, means in fitted.means.items()}}
    return Part("C", TITLE, expected, runs, text, data, {"c.svg": partial(effects, FACTORS, fitted.means)})


def terms_table(fitted: Fit) -> tuple[str, dict[str, Any]]:
    """Returns the nineteen tests with Holm's p, and their numbers."""
    lines, data = [], {}
    for each, adjusted in zip(fitted.tested, holm([each.p for each in fitted.tested]), strict=True):
        verdict = "**moves the loss**" if adjusted <= ALPHA else "undecided"
        numbers = [f"{each.f:.2f}", f"{each.p:.2g}", f"{adjusted:.2g}"]
        lines.append([each.term, str(each.freedom), *numbers, verdict])
        data[each.term] = {"f": each.f, "p": each.p, "adjusted": adjusted}
    return table(["term", "df", "F", "p", "p (Holm)", "verdict"], lines), data


def means_table(fitted: Fit) -> str:
    """Returns the fitted mean of every level of every factor."""
    most = max(len(names) for names in FACTORS.values())
    lines = []
    for factor, names in FACTORS.items():
        told = [f"{name} {nats(mean)}" for name, mean in zip(names, fitted.means[factor], strict=True)]
        lines.append([factor, *told, *[""] * (most - len(told))])
    return table(["factor", *["level"] * most], lines)
