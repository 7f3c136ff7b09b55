"""Stages B1 and B2: the best dropped model against the best full model, at equal FLOPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from evidence.contrasts import Contrast, judge
from evidence.designs import LAYERS, RATES, SCHEDULES, optima, row_of
from evidence.pages import Part, Picture, looks, losses, nats, rows_table, table, verdicts
from evidence.pictures import frontier, rates
from evidence.reading import Run
from pld_search.statistics.rate_optimum import Optimum

ROWS = tuple(row_of(layers, kind) for layers in LAYERS for kind in SCHEDULES)
SEEDS = 4
TITLES = {
    "B1": "the rates' optima, equal FLOPs (`valid/loss`)",
    "B2": "best dropped model against best full model, equal FLOPs",
}
EXPECTED = {"B1": len(ROWS) * len(RATES), "B2": len(ROWS) * SEEDS}


def part_b1(runs: Sequence[Run]) -> Part:
    """Returns every row's losses by rate and its optimum; names the two rows that B2 compares."""
    if not runs:
        return Part("B1", TITLES["B1"], EXPECTED["B1"], runs, looks(EXPECTED["B1"], runs))
    losses_by_rate = {
        row: {
            run.experiment["optimizer"]["lr"]: run.final["valid/loss"]
            for run in runs
            if of_row(run) == row and run.loss
        }
        for row in ROWS
    }
    found = optima(runs) if all(len(of) == len(RATES) for of in losses_by_rate.values()) else {}
    lines = []
    for row in ROWS:
        best = found.get(row)
        told = ["", ""] if best is None else [f"{best.rate:.3g}{' (edge)' if best.edge else ''}", nats(best.value)]
        lines.append([f"`{row}`", *(nats(losses_by_rate[row].get(rate)) for rate in sorted(RATES)), *told])
    text = f"{looks(EXPECTED['B1'], runs)}\n\n" + table(
        ["row", *(f"{rate:g}" for rate in sorted(RATES)), "best rate", "loss there"], lines
    )
    data: dict[str, object] = {
        "valid_losses": {row: {f"{lr:g}": loss for lr, loss in of.items()} for row, of in losses_by_rate.items()}
    }
    if found:
        dropped, full = chosen(found)
        text += (
            f"\n\nBest dropped row: **`{dropped}`**; best full row: **`{full}`**. B2 tests their difference on "
            "fresh seeds."
        )
        data |= {
            "optima": {
                row: {"lr": best.rate, "loss": best.value, "edge": best.edge is not None} for row, best in found.items()
            },
            "chosen": [dropped, full],
        }
    pictures: dict[str, Picture] = {"b1.svg": partial(rates, losses_by_rate, LAYERS, SCHEDULES)} if runs else {}
    return Part("B1", TITLES["B1"], EXPECTED["B1"], runs, text, data, pictures)


def part_b2(runs: Sequence[Run], b1: Sequence[Run]) -> Part:
    """Returns the primary contrast, the nine secondary ones, and the frontier."""
    if not runs:
        return Part("B2", TITLES["B2"], EXPECTED["B2"], runs, looks(EXPECTED["B2"], runs))
    rows, numbers = rows_table(runs, ROWS, row_of(6, "full"))
    text, data = f"{looks(EXPECTED['B2'], runs)}\n\n{rows}", {"rows": numbers}
    values = losses(runs)
    if len(runs) == EXPECTED["B2"] and all(len(values.get(row, ())) == SEEDS for row in ROWS):
        dropped, full = chosen(optima(b1))
        primary, data["primary"] = verdicts(judge(values, [Contrast(dropped, full, alike(dropped, full))]))
        rest = [
            Contrast(row_of(layers, kind), row_of(layers, "full"), of_depth(layers))
            for layers in LAYERS
            for kind in SCHEDULES[1:]
        ]
        secondary, data["secondary"] = verdicts(judge(values, rest))
        text += (
            f"\n\nPrimary:\n\n{primary}\n\nSecondary, each dropped row against the full row of its "
            f"depth:\n\n{secondary}"
        )
    elif len(runs) == EXPECTED["B2"]:
        text += "\n\nNo verdict: not every run finished."
    pictures: dict[str, Picture] = {"b2.svg": partial(frontier, values, LAYERS, SCHEDULES)} if values else {}
    return Part("B2", TITLES["B2"], EXPECTED["B2"], runs, text, data, pictures)


def chosen(found: Mapping[str, Optimum]) -> tuple[str, str]:
    """Returns the best dropped row and the best full row, by the loss at the vertex of their quadratics."""

    def best(rows: Sequence[str]) -> str:
        return min(rows, key=lambda row: found[row].value)

    full = [row for row in ROWS if row.startswith("full")]
    return best([row for row in ROWS if row not in full]), best(full)


def of_row(run: Run) -> str:
    """Returns the row of B to which a run of B1 belongs: its name without the rate."""
    return "-".join(run.row.split("-")[:2])


def of_depth(layers: int) -> tuple[str, ...]:
    """Returns the four rows of one depth."""
    return tuple(row_of(layers, kind) for kind in SCHEDULES)


def alike(one: str, other: str) -> tuple[str, ...]:
    """Returns the rows whose residual two rows of equal depth share; empty when their depths differ."""
    depths = {row.split("-")[1] for row in (one, other)}
    return of_depth(int(depths.pop())) if len(depths) == 1 else ()
