"""Finds combinations of a space that cannot be built, before a search meets them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.units import exact
from pld_search.spaces.constraints import forecasted
from pld_search.spaces.domains import Choice, Number, close, combinations, sample, size
from pld_search.spaces.resolve import Resolver, forecast_metrics
from pld_search.spaces.study import Study
from pld_search.specs.prepared_data import Prepared


@dataclass(frozen=True, slots=True)
class Unbuildable:
    """One combination that cannot be built: its system (None: the search), its parameters, and the problems."""

    system: str | None
    params: dict[str, Any]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of `probe`: the number of `tried` combinations, and the combinations that cannot be built or violate a
    constraint on the forecast.

    left_out: whether the time ended before all combinations were tried.
    """

    tried: int
    unbuildable: tuple[Unbuildable, ...]
    left_out: bool = False


def probe(study: Study, prepared: Prepared, points: int = 1000, seed: int = 0, seconds: float = math.inf) -> Probe:
    """Builds up to `points` combinations of every open tree (all of them if there are fewer), and every closed system
    once.

    After `seconds` it builds only one combination of each remaining tree.
    """
    resolver, tried, bad, end = Resolver(study, prepared), 0, [], time.monotonic() + seconds
    left_out = False
    for system in [
        name
        for name in (None, *(system.name for system in study.systems))
        if name is not None or study.search or not study.systems
    ]:
        for number, params in enumerate(points_of(study.tree_of(system), points, seed)):
            if number and time.monotonic() > end:
                left_out = True
                break
            tried += 1
            problems = _problems(study, resolver, system, params)
            if problems:
                bad.append(Unbuildable(system, params, problems))
    return Probe(tried, tuple(bad), left_out)


def _problems(study: Study, resolver: Resolver, system: str | None, params: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        experiment = resolver.experiment(close(study.tree_of(system), params))
    except ConfigError as error:
        return error.problems
    if system is not None:
        return ()  # constraints apply to the search's trials
    limits = [limit for limit in study.constraints if limit.before_training]
    known = forecast_metrics(experiment) if limits else {}
    return tuple(
        Problem("violates the constraint", allowed=each.limit.key, given=f"{each.value:g}")
        for each in forecasted(limits, known)
        if each.violated
    )


def points_of(tree: Any, points: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yields the parameters of all combinations of a tree, or of `points` random ones if it has more."""
    count = size(tree)
    if count is not None and count <= points:
        yield from combinations(tree)
        return
    generator = random.Random(seed)  # a generator of its own; no result depends on it
    for _ in range(points):
        params: dict[str, Any] = {}

        def suggest(name: str, domain: Choice | Number, params: dict[str, Any] = params) -> Any:
            params[name] = _drawn(domain, generator)
            return params[name]

        sample(tree, suggest)
        yield params


def _drawn(domain: Choice | Number, generator: random.Random) -> Any:
    """Draws a value from a domain uniformly: from its grid, in its logarithm, or in itself."""
    if isinstance(domain, Choice):
        return generator.choice(domain.options)
    if domain.kind == "int" or domain.step is not None:
        step = exact(domain.step or 1)
        value = exact(domain.low) + step * generator.randint(0, int((exact(domain.high) - exact(domain.low)) / step))
        return int(value) if domain.kind == "int" else float(value)
    if domain.kind == "log":
        value_in_range: float = domain.low * (domain.high / domain.low) ** generator.random()
        return min(max(value_in_range, domain.low), domain.high)
    return generator.uniform(domain.low, domain.high)
