"""The length of a branch: a copy of a paused run that decays its learning rate to be judged (promotion in a search).

An undecayed rate ranks runs wrongly. So the run itself (the trunk) pauses at a rung, and a branch decays from there,
over `decay` x the steps spent. A whole run of that length would decay over the same share of its steps.
"""

from __future__ import annotations

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.units import round_half_up, split
from pld_search.specs.experiment import Optimizer


def branch_end(optimizer: Optimizer, at: int, total: int) -> int:
    """Returns the completed steps at which a branch ends that leaves a run of `total` steps after `at` steps: at most
    `total`.

    `decay` in steps counts as its share of the run. A branch has at least one step. Raises ConfigError when the shape
    is not wsd, and when `at` is not inside the run (1 .. total - 1).

    >>> branch_end(Optimizer(lr=1e-3, shape="wsd", decay="20 %"), at=500, total=10_000)
    600
    >>> branch_end(Optimizer(lr=1e-3, shape="wsd", decay="20 %"), at=9_000, total=10_000)
    10000
    """
    problems = []
    if optimizer.shape != "wsd":
        rule = "a branch decays a learning rate that has not decayed yet"
        problems.append(Problem(rule, ("optimizer", "shape"), allowed="wsd", given=optimizer.shape))
    if not 1 <= at < total:
        problems.append(
            Problem("a branch leaves a run inside it", ("branch",), allowed=f"1 .. {total - 1} steps", given=str(at))
        )
    if problems:
        raise ConfigError(problems)
    number, unit = split(optimizer.decay)
    share = number / 100 if unit == "%" else number / total
    return min(total, at + max(1, round_half_up(share * at)))
