"""The common parts of each stage's section: values by row and seed, tables, and the progress of the stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evidence.contrasts import Judged
from evidence.reading import Run
from pld_search.statistics.spread import Spread

Picture = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One stage's section. `data` holds every number and verdict of the text as JSON; `pictures` maps a file name to
    the function that draws it.
    """

    stage: str
    title: str
    expected: int
    runs: Sequence[Run]
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)

    @property
    def diverged(self) -> int:
        """The number of runs without a test loss."""
        return sum(run.loss is None for run in self.runs)


def losses(runs: Iterable[Run]) -> dict[str, dict[int, float]]:
    """Returns row -> seed -> `test/loss` in nats, for the finished runs."""
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        if run.loss is not None:
            found.setdefault(run.row, {})[run.seed] = run.loss
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; every column but the first is right-aligned."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def looks(expected: int, runs: Sequence[Run]) -> str:
    """Returns the line on a stage's progress that stands before its numbers."""
    if not runs:
        return f"Not begun: 0 of {expected} runs have ended."
    if len(runs) < expected:
        return (
            f"**Not complete: {len(runs)} of {expected} runs have ended.** Means only: the one look is at the "
            "end (DESIGN.md)."
        )
    return f"Complete: {expected} runs have ended."


@dataclass(frozen=True, slots=True)
class Row:
    """One row over its seeds: `test/loss`, its difference to the reference over equal seeds, and its costs."""

    seeds: list[int]
    diverged: int
    mean: float | None
    sd: float | None
    difference: float | None
    sd_of_difference: float | None
    tflop: float
    saved_flops: float
    epochs: float

    @classmethod
    def of(cls, runs: Sequence[Run], values: Mapping[int, float], reference: Mapping[int, float]) -> Row:
        """Builds the row from at least one run; `values` and `reference` are losses of row and reference by seed."""
        own, apart = (
            Spread.of(each) if each else None
            for each in (
                [values[seed] for seed in sorted(values)],
                [values[seed] - reference[seed] for seed in sorted(values) if seed in reference],
            )
        )
        return cls(
            seeds=sorted(values),
            diverged=len(runs) - len(values),
            mean=own.mean if own else None,
            sd=own.sd if own else None,
            difference=apart.mean if apart else None,
            sd_of_difference=apart.sd if apart else None,
            tflop=sum(run.final.get("progress/tflop", 0.0) for run in runs) / len(runs),
            saved_flops=sum(run.final.get("saved/flops", 0.0) for run in runs) / len(runs),
            epochs=runs[0].epochs,
        )

    def cells(self, compared: bool) -> list[str]:
        """Returns the cells after the row's name; without differences when the row is not `compared`."""
        seeds = f"{len(self.seeds)}" + (f" ({self.diverged} diverged)" if self.diverged else "")
        apart = [nats(self.difference, sign=True), nats(self.sd_of_difference)] if compared else ["", ""]
        cost = [f"{self.tflop:.2f}", f"{100 * self.saved_flops:.1f} %", f"{self.epochs:.2f}"]
        return [seeds, nats(self.mean), nats(self.sd), *apart, *cost]


def rows_table(runs: Sequence[Run], order: Sequence[str], reference: str) -> tuple[str, dict[str, Any]]:
    """Returns the table of a stage's rows, and its numbers."""
    values = losses(runs)
    rows = {
        name: Row.of(own, values.get(name, {}), values.get(reference, {}))
        for name in order
        if (own := [run for run in runs if run.row == name])
    }
    header = ["row", "seeds", "test/loss", "sd", f"less `{reference}`", "sd", "TFLOP", "saved FLOPs", "epochs"]
    lines = [
        [f"`{name}`", *(rows[name].cells(name != reference) if name in rows else ["0", *[""] * (len(header) - 2)])]
        for name in order
    ]
    return table(header, lines), {name: asdict(row) for name, row in rows.items()}


def verdicts(judged: Sequence[Judged]) -> tuple[str, dict[str, Any]]:
    """Returns the table of a family of contrasts, and its numbers."""
    lines = []
    for each in judged:
        low, high = each.interval
        note = " (by Holm; the interval says otherwise)" if each.disagree and "equal" not in each.verdict else ""
        interval = f"{low:+.4f} to {high:+.4f}"
        judged_cells = [f"{each.freedom:g}", f"{each.adjusted:.2g}", f"**{each.verdict}**{note}"]
        lines.append([each.name, nats(each.difference, sign=True), interval, *judged_cells])
    header = ["contrast", "nats", "simultaneous 95 %", "df", "p (Holm)", "verdict"]
    return table(header, lines), {each.name: {**asdict(each), "verdict": each.verdict} for each in judged}


def nats(value: float | None, sign: bool = False) -> str:
    """Formats four decimals; empty for None."""
    return "" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"
