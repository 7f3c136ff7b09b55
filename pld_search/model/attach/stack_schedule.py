"""Adapts a schedule to the blocks of a model that is not this project's."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pld_search.costs.load_schedule import Source, load_schedule
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.depth.table import DepthTable
from pld_search.schedules.schedule import Schedule

Rescale = Literal["block", "none", "evaluation"]
RESCALES = ("block", "none", "evaluation")
_HALVES = "attention and feed-forward of an attached model cannot be distinguished: only its blocks as a whole can be"


def attached_schedule(
    source: Source, steps: int, layers: int, rescale: str | None, skipped: str | None, written_for: int | None = None
) -> Schedule:
    """Returns the schedule with the two overrides, for a stack of `layers`. If it was `written_for` another depth, it
    is stretched or compressed. Raises ConfigError for a schedule that whole blocks cannot follow.
    """
    if rescale is not None and rescale not in RESCALES:
        raise ConfigError(
            Problem("this rescale cannot be attached", ("rescale",), allowed=" | ".join(RESCALES), given=str(rescale))
        )
    if skipped is not None and skipped != "freeze":
        raise ConfigError(
            Problem("an attached model's optimizer is not ours", ("skipped",), allowed="freeze", given=str(skipped))
        )
    given = {"rescale": rescale, "skipped": skipped}
    depth = layers if written_for is None else written_for
    schedule = load_schedule(
        source, layers=depth, steps=steps, sets=[f"{key}={value}" for key, value in given.items() if value is not None]
    )
    problems = _problems(schedule)
    if problems:
        raise ConfigError(problems)
    return schedule if depth == layers else load_schedule(of_depth(schedule, depth, layers), layers=layers, steps=steps)


def of_depth(schedule: Schedule, written_for: int, layers: int) -> Schedule:
    """Returns the schedule whose layer l = 1 .. `layers` has the keep probability of layer ceil(l written_for / layers)
    in the given one.

    The keep probability of every family is linear in theta, so its values at theta = 0 determine it.

    >>> from pld_search.costs.load_schedule import load_schedule
    >>> of_depth(load_schedule("pld"), 4, 2).depth.keep(0.5, 2)
    array([0.75, 0.5 ])
    """
    least = schedule.depth.keep(np.array(0.0), written_for).reshape(-1)
    values = [float(least[-(-layer * written_for // layers) - 1]) for layer in range(1, layers + 1)]
    return schedule.model_copy(update={"depth": DepthTable(values=tuple(values))})


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
