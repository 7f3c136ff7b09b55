"""A schedule as the blocks of a model that is not ours can follow it."""

from __future__ import annotations

from typing import Literal

from pld_search.costs.load_schedule import Source, load_schedule
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.schedule import Schedule

Rescale = Literal["block", "none", "evaluation"]
RESCALES = ("block", "none", "evaluation")
_HALVES = (
    "attention and feed-forward of a model that is not ours cannot be told apart: only its blocks as a whole can be"
)


def attached_schedule(source: Source, steps: int, layers: int, rescale: str | None, skipped: str | None) -> Schedule:
    """The schedule with the two overrides. Raises ConfigError for what blocks as a whole cannot follow."""
    if rescale is not None and rescale not in RESCALES:
        raise ConfigError(
            Problem("this rescale cannot be attached", ("rescale",), allowed=" | ".join(RESCALES), given=str(rescale))
        )
    if skipped is not None and skipped != "freeze":
        raise ConfigError(
            Problem("an attached model's optimizer is not ours", ("skipped",), allowed="freeze", given=str(skipped))
        )
    given = {"rescale": rescale, "skipped": skipped}
    schedule = load_schedule(
        source, layers=layers, steps=steps, sets=[f"{key}={value}" for key, value in given.items() if value is not None]
    )
    problems = _problems(schedule)
    if problems:
        raise ConfigError(problems)
    return schedule


def _problems(schedule: Schedule) -> list[Problem]:
    found = []
    if schedule.draw.unit == "sublayer":
        found.append(Problem(f"{_HALVES} skipped", ("draw", "unit"), allowed="layer", given="sublayer"))
    if schedule.rescale not in RESCALES:
        way_out = f"{_HALVES} scaled; override it: attach(..., rescale='block') is unbiased"
        found.append(Problem(way_out, ("rescale",), allowed=" | ".join(RESCALES), given=schedule.rescale))
    if schedule.skipped != "freeze":
        why = (
            "the optimizer is yours: what gets no gradient, it leaves alone; override it: attach(..., skipped='freeze')"
        )
        found.append(Problem(why, ("skipped",), allowed="freeze", given=schedule.skipped))
    return found
