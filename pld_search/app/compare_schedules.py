"""Compares schedules at equal steps, and finds for each the number of steps at equal FLOPs of the encoder layers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pld_search.costs.expected_depth import expect, kept_grid, layers_variance
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.schedule import Schedule

_MOST = 1000  # the search for equal FLOPs stops at this multiple of the comparison's steps


def rows(sources: Sequence[str], layers: int, steps: int, sets: Sequence[str]) -> list[dict[str, Any]]:
    """Returns one row for each schedule. Raises ConfigError with the problems of all schedules that cannot be
    loaded.
    """
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    budget: int | None = None
    for source in sources:
        load = _loader(source, layers, sets)
        try:
            schedule = load(steps)
            budget = kept_grid(schedule, steps, layers) if budget is None else budget
            found.append(_row(source, schedule, layers, steps) | _at_equal_flops(load, layers, steps, budget))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _loader(source: str, layers: int, sets: Sequence[str]) -> Callable[[int], Schedule]:

    return lambda steps: load_schedule(source, layers=layers, steps=steps, sets=sets)


def _row(source: str, schedule: Schedule, layers: int, steps: int) -> dict[str, Any]:
    expected = expect(schedule, steps, layers)
    end = np.array(expected.keep_probabilities_end)
    return {
        "name": schedule.name or Path(source).stem,
        "source": source,
        "expected_layers_mean": expected.expected_layers_mean,
        "expected_layers_end": expected.expected_layers_end,
        "saved_block_flops_share": expected.saved_block_flops,
        "layers_std": expected.layers_std,
        "layers_variance_end": float(layers_variance(schedule.draw, end)),
    }


def _at_equal_flops(load: Callable[[int], Schedule], layers: int, steps: int, budget: int) -> dict[str, Any]:
    """Returns the largest number of steps whose expected blocks do not exceed `budget` (in grid steps). Returns None
    and the reason when the schedule refuses another length or costs hardly anything.
    """

    def kept(length: int) -> int:
        return kept_grid(load(length), length, layers)

    try:
        low, high = 0, steps
        while high < _MOST * steps and kept(high) <= budget:
            low, high = high, 2 * high
        if high >= _MOST * steps:
            return {"steps_at_equal_flops": None, "why": f"it keeps so little that {low:,} steps cost less"}
        return {"steps_at_equal_flops": low + bisect_right(range(low + 1, high), budget, key=kept), "why": None}
    except ConfigError as error:
        return {"steps_at_equal_flops": None, "why": error.problems[0].message}
