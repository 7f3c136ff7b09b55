"""`schedule compare A B C`: what schedules keep at equal steps, and the steps each may run at equal FLOPs of the
blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pld_search.cli.options import Json, Layers, ScheduleSets, ScheduleSources, Steps
from pld_search.cli.output import emit, say

if TYPE_CHECKING:
    from pld_search.schedules.schedule import Schedule

_MOST = 1000
_ASSUMPTION = "FLOPs are those of the blocks alone, so they hold for any width and sequence length; embeddings and head come on top"


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


def rows(sources: Sequence[str], layers: int, steps: int, sets: Sequence[str]) -> list[dict[str, Any]]:
    """A row a schedule. Raises ConfigError with the problems of every one that cannot be loaded."""
    from pld_search.costs.expected_depth import kept_grid
    from pld_search.errors import ConfigError, Problem

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
    from pld_search.costs.load_schedule import load_schedule

    return lambda steps: load_schedule(source, layers=layers, steps=steps, sets=sets)


def _row(source: str, schedule: Schedule, layers: int, steps: int) -> dict[str, Any]:
    import numpy as np

    from pld_search.costs.expected_depth import expect, layers_variance

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
    """The most steps whose expected blocks are not above `budget` (in grid steps); None, and why, where another length
    is refused or hardly costs.
    """
    from pld_search.costs.expected_depth import kept_grid
    from pld_search.errors import ConfigError

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


def table(compared: Sequence[dict[str, Any]], layers: int, steps: int) -> Iterator[str]:
    """The rows in at most 100 columns, and what the columns mean."""
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
    yield ""
    for row in compared:
        if row["why"] is not None:
            yield f"{row['name']}: no steps at equal FLOPs: {row['why']}"
    yield f"{_ASSUMPTION}."
    yield "std and var: of the layers one plan keeps, std averaged over the run, var at its end; groups drawn apart average out."
