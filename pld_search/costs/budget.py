"""The number of steps that a budget buys: a budget of FLOPs, of tokens, or of any other cost of a step
(`most_steps`).
"""

from __future__ import annotations

from collections.abc import Callable

from pld_search.costs.flops import run_flops, step_flops
from pld_search.costs.objectives import costs_of
from pld_search.costs.positions import positions_read
from pld_search.costs.run_cost import expected_flops
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.schedule import Schedule
from pld_search.specs import limits
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.growth import Growth, layers_of
from pld_search.specs.pretraining import Pretraining

MOST_STEPS = limits.STEPS


def steps_within(
    flops: float,
    schedule_for_steps: Callable[[int], Schedule],
    model: Model,
    data: Data,
    batch: Batch,
    growth: Growth | None = None,
    pretraining: Pretraining | None = None,
) -> int:
    """Returns the largest T whose expected FLOPs are at most `flops`: T fits and T + 1 does not.

    `schedule_for_steps(T)` is the schedule of a run of T steps. With a `{saving: ...}` it depends on T, like the stages
    of growth, of length and of the batch. Raises ConfigError when not even one step fits, or when more than
    `limits.STEPS` fit.
    """
    small, large = (batch.of(end) for end in (batch.sizes[0], batch.most))
    few, many = (data.with_rate(end) for end in (min(data.masking.rates), max(data.masking.rates)))
    shortest = step_flops(model, few, small, data.first_length, pretraining)
    longest = step_flops(model, many, large, data.final_length, pretraining)

    def cost(steps: int) -> float:
        limits.refuse_beyond(min(steps, limits.STEPS), model.layers)  # the search also tries one step too many
        return expected_flops(
            schedule_for_steps(steps),
            run_flops(model, data, batch, steps, pretraining),
            layers_of(growth, model.layers, steps),
            steps,
        )

    whole = longest.block * model.layers + longest.fixed
    second = costs_of(pretraining).second_stack(model)
    if second is not None:
        whole += second[1] * sum(longest.second)
    return most_steps(flops, cost, full=whole, fixed=shortest.fixed, unit="FLOPs")


def steps_within_tokens(tokens: int, data: Data, batch: Batch) -> int:
    """Returns the largest T that reads at most `tokens` positions. Raises ConfigError when not even one step fits, or
    when more than `limits.STEPS` fit.
    """
    least, most = batch.sizes[0] * data.first_length, batch.most * data.final_length
    if least == most:
        if tokens < least:
            raise ConfigError(
                Problem(
                    "the budget buys no step",
                    ("budget", "tokens"),
                    allowed=f"at least {least}, one batch",
                    given=str(tokens),
                )
            )
        if tokens // least > MOST_STEPS:
            raise _too_many(tokens, "tokens")
        return tokens // least

    def cost(steps: int) -> float:
        return positions_read(data, batch, steps)

    return most_steps(tokens, cost, full=most, fixed=least, unit="tokens")


def most_steps(limit: float, cost: Callable[[int], float], *, full: float, fixed: float, unit: str) -> int:
    """Returns the largest T with cost(T) <= limit < cost(T + 1), where a step costs between `fixed` (no layer) and
    `full` (every layer).

    Raises ConfigError when not even one step fits, or when more than `limits.STEPS` fit.
    """
    least = int(limit / full)
    if least > MOST_STEPS:
        raise _too_many(limit, unit)
    least = max(least, 1)
    spent = cost(least)
    while spent > limit and least > 1:  # full depth was rounded up to the next float
        least -= 1
        spent = cost(least)
    if spent > limit:
        raise ConfigError(
            Problem(
                "the budget buys no step",
                allowed=f"at least {spent:g} {unit}, the expectation of one step",
                given=f"{limit:g} {unit}",
            )
        )
    most = MOST_STEPS + 1 if limit > fixed * MOST_STEPS else int(limit / fixed)
    found = _largest(cost, limit, least, spent, most + 1)
    if found > MOST_STEPS:
        raise _too_many(limit, unit)
    return found


def _too_many(limit: float, unit: str) -> ConfigError:
    return ConfigError(
        Problem(
            "a budget of more steps than a run can have",
            allowed=f"at most {MOST_STEPS:,} steps",
            given=f"{limit:g} {unit}",
        )
    )


def _largest(cost: Callable[[int], float], limit: float, low: int, spent: float, high: int) -> int:
    """Returns the T in low .. high - 1 with cost(T) <= limit < cost(T + 1); `low` fits and costs `spent`, `high` does
    not fit.

    The cost of a run is nearly proportional to its steps, so the next guess is extrapolated from the cost of the last
    guess. Every third guess halves the bracket, which bounds the number of guesses.
    """
    steps, guesses = low, 0
    while high - low > 1:
        guesses += 1
        pointed = (low + high) // 2 if guesses % 3 == 0 else int(limit * (steps / spent))
        steps = min(max(pointed, low + 1), high - 1)
        spent = cost(steps)
        low, high = (steps, high) if spent <= limit else (low, steps)
    return low
