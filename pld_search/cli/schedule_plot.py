"""`schedule plot NAME... --out FILE`: draws schedules side by side as a PNG, SVG or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.cli.options import Layers, ScheduleSets, ScheduleSources, Steps
from pld_search.cli.output import say
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError, Problem
from pld_search.report.side_by_side_figure import FORMATS, column, save

Out = Annotated[
    Path,
    typer.Option(
        "--out", metavar="FILE", help="The picture: FILE.png, FILE.svg or FILE.pdf; an existing one is replaced."
    ),
]


def plot(
    sources: ScheduleSources, out: Out, layers: Layers = 12, steps: Steps = 10_000, sets: ScheduleSets = None
) -> None:
    """Draw schedules side by side, as a picture.

    Layers kept, theta, expected layers, saving so far.
    """
    if out.suffix.lower() not in FORMATS:
        raise ConfigError(
            Problem(
                "a picture is a PNG, an SVG or a PDF, by the ending of its name",
                ("--out",),
                allowed=" | ".join(FORMATS),
                given=str(out),
            )
        )
    schedules = [load_schedule(source, layers=layers, steps=steps, sets=sets or ()) for source in sources]
    columns = [
        column(schedule.name or Path(source).stem, schedule, steps, layers)
        for source, schedule in zip(sources, schedules, strict=True)
    ]
    try:
        save(columns, steps, layers, out)
    except OSError as error:
        raise ConfigError(
            Problem(f"cannot be written: {error.strerror or error}", ("--out",), given=str(out))
        ) from error
    say(f"picture: {out}")
