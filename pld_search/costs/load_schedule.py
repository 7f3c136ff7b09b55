"""The public function for schedules: it turns a name, a file or a mapping into a frozen Schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.costs.flops import AnyFlops
from pld_search.costs.saving import mark_of, openings, resolve_schedule
from pld_search.errors import ConfigError, Problem, dotted
from pld_search.schedules.existing_layers import Layers, layers_at
from pld_search.schedules.schedule import Schedule
from pld_search.specs import limits
from pld_search.specs.problems_in_tree import problems_at
from pld_search.specs.tree_changes import DOMAINS, apply_sets
from pld_search.specs.written_schedules import is_place, schedule_tree
from pld_search.specs.yaml_io import Map

Source = str | Path | Schedule | Mapping[str, Any]
"""Anything that identifies a schedule: a name of the library, a place (`./mine.yaml`), a Schedule, or a mapping of its
keys.
"""


def load_schedule(
    source: Source,
    *,
    layers: Layers | None = None,
    steps: int | None = None,
    sets: Sequence[str] = (),
    flops: AnyFlops | None = None,
) -> Schedule:
    """Returns a schedule as a frozen value, with `sets` (`temporal.end=0.7`) on top of `source`.

    Args:
        source: its name in the library (`pld`), its place (`./mine.yaml`, any Path), a mapping of its keys, or a
            Schedule.
        layers, steps: the layers and steps of its run; the schedule is then checked against them. A schedule that
            leaves a number to be solved (`{saving: like pld}`) needs both.
        sets: changes as in --set, `KEY.KEY=VALUE`.
        flops: the FLOPs of a step (costs/flops.py); only `{saving: ... of total}` needs them.

    Raises ConfigError with every problem at its place.
    """
    tree = apply_sets(schedule_tree(_written(source)), sets)
    try:
        return _schedule(tree, layers, steps, flops)
    except ConfigError as error:
        raise ConfigError(dict.fromkeys(_of_a_domain(tree, problem) for problem in error.problems)) from None


def _schedule(tree: Map, layers: Layers | None, steps: int | None, flops: AnyFlops | None) -> Schedule:
    unsolved = openings(tree)
    if layers is None or steps is None:
        if unsolved:
            raise ConfigError(
                Problem(
                    "this number is solved for a run: state its layers and steps",
                    unsolved[0],
                    mark_of(tree, unsolved[0]),
                )
            )
        return resolve_schedule(tree, 1, 1)  # nothing is solved, so nothing depends on layers and steps
    limits.refuse_beyond(steps, layers_at(layers).final)
    schedule = resolve_schedule(tree, layers, steps, flops=flops)
    misfits = problems_at(tree, schedule.misfits(steps, layers))
    if misfits:
        raise ConfigError(misfits)
    return schedule


def _of_a_domain(tree: Map, problem: Problem) -> Problem:
    """Replaces a problem inside a domain, which no rule for a value fits, by a message where domains belong."""
    for index, part in enumerate(problem.path):
        tree = tree[part] if isinstance(tree, dict) and part in tree else None  # type: ignore[assignment,index]
        if isinstance(tree, dict) and DOMAINS & set(tree):
            path = problem.path[: index + 1]
            way = (
                f"a schedule by itself holds no domains; put it in a study: `schedule: {{base: NAME_OR_FILE, "
                f"{dotted(path)}: {{{next(iter(tree))}: ...}}}}`"
            )
            return Problem(way, path, problem.mark)
    return problem


def _written(source: Source) -> str | dict[str, Any]:
    if isinstance(source, Schedule):
        return source.model_dump(mode="json")
    if isinstance(source, Mapping):
        return dict(source)
    return f"./{source}" if isinstance(source, Path) and not is_place(str(source)) else str(source)
