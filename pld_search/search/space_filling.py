"""The first questions of a search: points of a scrambled Sobol sequence, which cover a space more evenly than random
points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pld_search.search.observed_runs import Floats
from pld_search.spaces.domains import combinations, size
from pld_search.spaces.flat_space import FlatSpace

_LOG_MOST = 8
_WHOLE, _LOG_DRAWN = 1024, 9


def scrambled(columns: int, log_count: int, rng: int | np.random.Generator) -> Floats:
    """Returns 2^`log_count` points (points, columns) in [0, 1) of a Sobol sequence, scrambled by `rng`."""
    from scipy.stats import qmc  # a second of processor time, and few plans sample

    found: Floats = qmc.Sobol(columns, scramble=True, rng=rng).random_base2(log_count)
    return found


def starts_of(space: FlatSpace, most: int) -> int:
    """Returns the number of space-filling questions: `most`, or fewer when few parameters are open."""
    return min(most, 1 + 2 * len(space))


def sobol(space: FlatSpace, seed: int) -> Iterator[dict[str, Any]]:
    """Yields 256 configurations (Owen's scrambling by `seed`, scipy). A conditional value is used where it exists."""
    for positions in scrambled(len(space), _LOG_MOST, seed):
        yield space.params_at(positions)


def candidates(space: FlatSpace, tree: Any, seed: int) -> list[dict[str, Any]]:
    """Returns configurations that represent a space: all of at most 1,024, else 512 evenly spread ones drawn by
    `seed`.
    """
    count = size(tree)
    if count is not None and count <= _WHOLE:
        return list(combinations(tree))
    return [space.params_at(positions) for positions in scrambled(len(space), _LOG_DRAWN, seed)]
