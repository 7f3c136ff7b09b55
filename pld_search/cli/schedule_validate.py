"""`schedule validate A B C`: reports every problem in schedule files."""

from __future__ import annotations

from pld_search.cli.options import Json, Layers, ScheduleSets, ScheduleSources, Steps
from pld_search.cli.output import emit, say
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError, Problem


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
