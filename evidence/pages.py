"""What every stage's part of the page is made of: values by row and seed, tables, and how far the stage is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.contrasts import Judged
from evidence.reading import Run
from pld_search.statistics.spread import Spread

Picture = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One stage's part: `data` holds every number and verdict of the text for programs, `pictures` draw themselves by
    file name.
    """

    stage: str
    title: str
    expected: int
    runs: Sequence[Run]
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)

    @property
    def diverged(self) -> int:
        """Runs that have no test loss."""
        return sum(run.loss is None for run in self.runs)


def losses(runs: Iterable[Run]) -> dict[str, dict[int, float]]:
    """Row -> seed -> `test/loss` in nats, of the runs that finished."""
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        if run.loss is not None:
            found.setdefault(run.row, {})[run.seed] = run.loss
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first to the right."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def looks(expected: int, runs: Sequence[Run]) -> str:
    """The line on how far a stage is that stands before its numbers."""
    if not runs:
        return f"Not begun: 0 of {expected} runs have ended."
    if len(runs) < expected:
        return f"**Not complete: {len(runs)} of {expected} runs have ended.** Means only: the one look is at the end (DESIGN.md)."
    return f"Complete: {expected} runs have ended."


def rows_table(runs: Sequence[Run], order: Sequence[str], reference: str) -> tuple[str, dict[str, Any]]:
    """The table of a stage's rows, and its numbers: mean and spread of `test/loss`, difference to the reference over
    equal seeds, cost.
    """
    values, lines, data = losses(runs), [], {}
    for row in order:
        of_row = [run for run in runs if run.row == row]
        if not of_row:
            lines.append([f"`{row}`", "0", *["" for _ in range(7)]])
            continue
        found = values.get(row, {})
        common = sorted(set(found) & set(values.get(reference, {})))
        spread = Spread.of([found[seed] for seed in sorted(found)]) if found else None
        apart = Spread.of([found[seed] - values[reference][seed] for seed in common]) if common else None
        tflop = sum(run.final.get("progress/tflop", 0.0) for run in of_row) / len(of_row)
        saved = sum(run.final.get("saved/flops", 0.0) for run in of_row) / len(of_row)
        data[row] = {
            "seeds": sorted(found), "diverged": len(of_row) - len(found), "tflop": tflop, "saved_flops": saved, "epochs": of_row[0].epochs,
            "mean": spread and spread.mean, "sd": spread and spread.sd, "difference": apart and apart.mean, "sd_of_difference": apart and apart.sd,
        }  # fmt: skip
        seeds = f"{len(found)}" + (f" ({len(of_row) - len(found)} diverged)" if len(found) < len(of_row) else "")
        own = ["", ""] if row == reference else [nats(apart and apart.mean, sign=True), nats(apart and apart.sd)]
        cells = [nats(spread and spread.mean), nats(spread and spread.sd), *own]
        lines.append([f"`{row}`", seeds, *cells, f"{tflop:.2f}", f"{100 * saved:.1f} %", f"{of_row[0].epochs:.2f}"])
    header = ["row", "seeds", "test/loss", "sd", f"less `{reference}`", "sd", "TFLOP", "saved FLOPs", "epochs"]
    return table(header, lines), data


def verdicts(judged: Sequence[Judged]) -> tuple[str, dict[str, Any]]:
    """The table of a family of contrasts, and its numbers."""
    lines, data = [], {}
    for each in judged:
        low, high = each.interval
        note = (
            " (by Holm; the interval says otherwise)"
            if each.disagree and each.verdict in ("better", "worse", "undecided")
            else ""
        )
        cells = [
            nats(each.difference, sign=True),
            f"{low:+.4f} to {high:+.4f}",
            f"{each.freedom:g}",
            f"{each.adjusted:.2g}",
            f"**{each.verdict}**{note}",
        ]
        lines.append([each.name, *cells])
        data[each.name] = {
            "difference": each.difference, "error": each.error, "freedom": each.freedom, "p": each.p, "adjusted": each.adjusted,
            "interval": list(each.interval), "narrow": list(each.narrow), "verdict": each.verdict,
        }  # fmt: skip
    return table(["contrast", "nats", "simultaneous 95 %", "df", "p (Holm)", "verdict"], lines), data


def nats(value: float | None, sign: bool = False) -> str:
    """Four decimals; empty where there is none."""
    return "" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"
