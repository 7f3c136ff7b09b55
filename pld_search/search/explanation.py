"""Explains a search: which parameters matter and how surely, how each parameter acts, and which act together.

Computes shares of the variance of the model over the whole space (Sobol 1993; estimators of Jansen 1999 and Saltelli
et al. 2010, Comput. Phys. Commun. 181:259, table 2; for pairs Liu and Owen 2006, J. Am. Stat. Assoc. 101:712). The
space consists of flat positions. A conditional parameter has a position even where it does not exist, and the position
changes nothing there; the parameter's share counts only the effect where it exists. Intervals come from functions
drawn from the posterior.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.observed_runs import Floats
from pld_search.search.space_filling import scrambled
from pld_search.spaces.domains import Choice
from pld_search.spaces.flat_space import Flat, FlatSpace

_MOST = 1000
"""Maximum number of points at which functions are drawn together."""
_DRAWS = 200
_PLACES = 9
_OTHERS = 64
_PAIRS = 6
_TINY = 1e-12


def explained(model: GaussianProcess, space: FlatSpace, sign: float) -> dict[str, list[dict[str, Any]]]:
    """Returns `parameters` and `interactions` of an `explained` record; `sign` is -1 where the objective is
    maximised.
    """
    first, second = _two_samples(space)
    importance = _importance(model, space, first, second)
    parameters = [
        {"name": flat.name, **shares, "dependence": list(_dependence(model, space, place, first, sign))}
        for place, (flat, shares) in enumerate(zip(space.parameters, importance, strict=True))
    ]
    order = sorted(range(len(space)), key=lambda place: -importance[place]["importance"])
    return {
        "parameters": [parameters[place] for place in order],
        "interactions": _interactions(model, space, first, second, order[:_PAIRS]),
    }


def _two_samples(space: FlatSpace) -> tuple[Floats, Floats]:
    """Two samples (n, parameters) of positions, independent of each other."""
    count = max(32, _MOST // (len(space) + 2))
    both = scrambled(2 * len(space), int(np.log2(count)), 0)
    return both[:, : len(space)], both[:, len(space) :]


def _points(space: FlatSpace, positions: Floats) -> Floats:
    return space.encoded([space.params_at(each) for each in positions])


def _swapped(first: Floats, second: Floats, *places: int) -> Floats:
    """`first` with some of its columns from `second`."""
    found = first.copy()
    found[:, list(places)] = second[:, list(places)]
    return found


def _importance(model: GaussianProcess, space: FlatSpace, first: Floats, second: Floats) -> list[dict[str, float]]:
    places = range(len(space))
    samples = [first, second, *(_swapped(first, second, place) for place in places)]
    drawn = model.draws(_points(space, np.vstack(samples)), _DRAWS, seed=0).reshape(_DRAWS, len(samples), -1)
    drawn = drawn - drawn[:, :2].mean(axis=(1, 2), keepdims=True)
    variance = (drawn[:, :2] ** 2).mean(axis=(1, 2)) + _TINY
    found = []
    for place in places:
        other = drawn[:, 2 + place]
        total = 0.5 * ((drawn[:, 0] - other) ** 2).mean(axis=1) / variance
        alone = (drawn[:, 1] * (other - drawn[:, 0])).mean(axis=1) / variance
        low, middle, high = np.clip(np.quantile(total, [0.05, 0.5, 0.95]), 0.0, 1.0)
        alone_median = float(np.clip(np.median(alone), 0.0, middle))
        found.append({"importance": float(middle), "low": float(low), "high": float(high), "alone": alone_median})
    return found


def _interactions(
    model: GaussianProcess, space: FlatSpace, first: Floats, second: Floats, places: list[int]
) -> list[dict[str, Any]]:
    """Returns, for the model's mean, the share of variance of all terms in which two parameters occur together."""
    base = model.predict(_points(space, first))[0]
    variance = float(base.var()) + _TINY
    single = {place: model.predict(_points(space, _swapped(first, second, place)))[0] for place in places}
    found = []
    for one, other in combinations(sorted(places), 2):
        both = model.predict(_points(space, _swapped(first, second, one, other)))[0]
        share = 0.25 * float(((base - single[one] - single[other] + both) ** 2).mean()) / variance
        found.append({"names": [space.parameters[one].name, space.parameters[other].name], "share": share})
    return sorted(found, key=lambda each: -each["share"])


def _dependence(
    model: GaussianProcess, space: FlatSpace, place: int, sample: Floats, sign: float
) -> Iterator[dict[str, Any]]:
    """Yields the objective by the values of one parameter, as the mean over the other parameters where the parameter
    exists. The standard deviation says how well the data determine this mean.
    """
    flat = space.parameters[place]
    positions = sample[:_OTHERS].copy()
    for name, option in flat.conditions:
        parent = next(index for index, each in enumerate(space.parameters) if each.name == name)
        domain = space.parameters[parent].domain
        assert isinstance(domain, Choice)
        positions[:, parent] = (domain.options.index(option) + 0.5) / len(domain.options)
    for value, position in _values(flat):
        positions[:, place] = position
        mean, spread = model.joint(_points(space, positions))
        yield {"value": value, "mean": sign * float(mean.mean()), "sd": float(np.sqrt(max(spread.mean(), 0.0)))}


def _values(flat: Flat) -> list[tuple[Any, float]]:
    """Returns values of a parameter over its whole domain, each with a position that gives it."""
    count = len(flat.domain.options) if isinstance(flat.domain, Choice) else _PLACES
    found = {flat.at(position): position for position in (np.arange(count) + 0.5) / count}
    return list(found.items())
