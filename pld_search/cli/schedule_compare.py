"""`schedule compare A B C`: the layers that schedules keep at equal steps, and the steps of each at equal FLOPs of the
blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pld_search.app.compare_schedules import rows
from pld_search.cli.options import Json, Layers, ScheduleSets, ScheduleSources, Steps
from pld_search.cli.output import UNBROKEN, columns, emit, say, wrapped

_ASSUMPTION = (
    "FLOPs are those of the blocks alone, so they hold for any width and sequence length; embeddings and head "
    "come on top"
)


def compare(
    sources: ScheduleSources, layers: Layers = 12, steps: Steps = 10_000, sets: ScheduleSets = None, json: Json = False
) -> None:
    """Compare schedules at equal steps and FLOPs.

    The first one is the reference.
    """
    compared = rows(sources, layers, steps, sets or ())
    if json:
        emit(
            {
                "layers": layers,
                "steps": steps,
                "reference": compared[0]["name"],
                "flops_of": "blocks",
                "schedules": compared,
            }
        )
        return
    for line in table(compared, layers, steps):
        say(line)
    for note in notes(compared):
        for line in wrapped(note, columns(UNBROKEN)):
            say(line)


def table(compared: Sequence[dict[str, Any]], layers: int, steps: int) -> Iterator[str]:
    """Yields the rows, 57 columns wide beside the names."""
    width = max(8, *(len(row["name"]) for row in compared))
    yield f"{layers} layers, {steps:,} steps; reference: {compared[0]['name']}"
    yield ""
    yield f"{'':<{width}}  {'layers kept':>15}  {'blocks':>7}  {'of a step':>15}  {'steps at':>12}"
    yield f"{'schedule':<{width}}  {'run':>7} {'end':>7}  {'saved':>7}  {'std':>7} {'var end':>7}  {'equal FLOPs':>12}"
    for row in compared:
        most = "-" if row["steps_at_equal_flops"] is None else f"{row['steps_at_equal_flops']:,}"
        kept, step = (
            f"{row['expected_layers_mean']:>7.2f} {row['expected_layers_end']:>7.2f}",
            f"{row['layers_std']:>7.2f} {row['layers_variance_end']:>7.2f}",
        )
        yield f"{row['name']:<{width}}  {kept}  {100 * row['saved_block_flops_share']:>5.1f} %  {step}  {most:>12}"


def notes(compared: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields the meaning of the columns, and the reason when a schedule has no steps at equal FLOPs."""
    yield ""
    for row in compared:
        if row["why"] is not None:
            yield f"{row['name']}: no steps at equal FLOPs: {row['why']}"
    yield f"{_ASSUMPTION}."
    yield (
        "std and var: of the layers one plan keeps, std averaged over the run, var at its end; groups drawn "
        "apart average out."
    )
