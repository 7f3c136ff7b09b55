"""`schedule show | list | validate`, and the other verbs of schedules: what a schedule keeps, before it costs
anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pld_search.cli.options import Json, Layers, ScheduleSets, ScheduleSources, Steps
from pld_search.cli.output import emit, say
from pld_search.cli.schedule_compare import compare
from pld_search.cli.schedule_import import import_
from pld_search.cli.schedule_plot import plot

if TYPE_CHECKING:
    from pld_search.costs.expected_depth import Expected
    from pld_search.schedules.schedule import Schedule

app = typer.Typer(
    help="Show, draw, compare, list, check and import schedules.", no_args_is_help=True, rich_markup_mode=None
)

Source = Annotated[str, typer.Argument(metavar="NAME_OR_FILE", help="A schedule of the library, or a YAML file.")]


@app.command("show")
def show(
    source: Source, layers: Layers = 12, steps: Steps = 10_000, sets: ScheduleSets = None, json: Json = False
) -> None:
    """Draw a schedule and print what it keeps."""
    from pld_search.costs.expected_depth import expect
    from pld_search.costs.load_schedule import load_schedule

    schedule = load_schedule(source, layers=layers, steps=steps, sets=sets or ())
    expected = expect(schedule, steps, layers)
    if json:
        emit(described(schedule, expected))
    else:
        from pld_search.cli.schedule_picture import picture

        for line in picture(schedule, expected):
            say(line)


def described(schedule: Schedule, expected: Expected) -> dict[str, Any]:
    """Every resolved convention, and what follows from them at these layers and steps."""
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


app.command("plot")(plot)
app.command("compare")(compare)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the schedules of the library."""
    from pld_search.schedules.library import path_of
    from pld_search.specs.written_schedules import schedule_tree

    trees = {name: schedule_tree(name) for name in _names()}
    if json:
        emit(
            [
                {
                    "name": name,
                    "about": tree.get("about", ""),
                    "source": tree.get("source", ""),
                    "file": str(path_of(name)),
                }
                for name, tree in trees.items()
            ]
        )
        return
    width = max(map(len, trees))
    for name, tree in trees.items():
        say(f"{name:<{width}}  {tree.get('about', '')}")


def _names() -> list[str]:
    from pld_search.schedules.library import names

    return names()


@app.command("validate")
def validate(
    sources: ScheduleSources,
    layers: Layers = 12,
    steps: Steps = 10_000,
    sets: ScheduleSets = None,
    json: Json = False,
) -> None:
    """Check schedules.

    Every problem of every file, one a line; exit 2 when there is one.
    """
    from pld_search.costs.load_schedule import load_schedule
    from pld_search.errors import ConfigError, Problem

    problems: list[Problem] = []
    for source in sources:
        try:
            load_schedule(source, layers=layers, steps=steps, sets=sets or ())
        except ConfigError as error:
            problems += error.problems
        else:
            say(f"{source}: fine", aside=json)
    if json:
        emit([str(problem) for problem in problems])
    if problems:
        raise ConfigError(problems)


app.command("import")(import_)
