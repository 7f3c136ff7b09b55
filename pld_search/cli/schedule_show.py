"""`schedule show NAME`: shows the layers that a schedule keeps, before any training."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pld_search.cli import completion
from pld_search.cli.options import Json, Layers, ScheduleSets, Steps
from pld_search.cli.output import columns, emit, say
from pld_search.cli.schedule_picture import picture
from pld_search.costs.expected_depth import Expected, expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.schedule import Schedule

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_FILE",
        help="A schedule of the library, or a YAML file.",
        autocompletion=completion.schedules,
    ),
]


def show(
    source: Source, layers: Layers = 12, steps: Steps = 10_000, sets: ScheduleSets = None, json: Json = False
) -> None:
    """Draw a schedule and print what it keeps."""
    schedule = load_schedule(source, layers=layers, steps=steps, sets=sets or ())
    expected = expect(schedule, steps, layers)
    if json:
        emit(described(schedule, expected))
    else:
        for line in picture(schedule, expected, width=columns()):
            say(line)


def described(schedule: Schedule, expected: Expected) -> dict[str, Any]:
    """Returns every resolved convention, and the resulting numbers for these layers and steps."""
    ends = schedule.theta([0, expected.steps], expected.steps)
    return {
        **schedule.model_dump(mode="json"),
        "layers": expected.layers,
        "steps": expected.steps,
        "theta_start": float(ends[0]),
        "theta_end": float(ends[1]),
        "keep_probabilities_end": list(expected.keep_probabilities_end),
        "keep_probabilities_mean": list(expected.keep_probabilities_mean),
        "expected_layers_end": expected.expected_layers_end,
        "expected_layers_mean": expected.expected_layers_mean,
        "layers_std": expected.layers_std,
        "saved_block_flops_share": expected.saved_block_flops,
    }
