"""Converts a margin stated in compute to nats: the loss that the reference would gain with that much less budget.

Rows that are the reference at another budget (`budget_share: 80 %`) give the slope by their final losses. Without such
rows, the slope comes from the reference's own validation losses over the later part of its runs, before their learning
rate has decayed. Such a slope is a guide only, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pld_search.records.run_record import RunRecord
from pld_search.spaces.decide import Decide
from pld_search.statistics.margin import Margin, margin_of_budget

LATE = 0.4
"""The share of a run from which on its own curve counts. Its end does not count, because it reads other sequences."""


@dataclass(frozen=True, slots=True)
class StatedMargin:
    """`share` of the budget in nats, and its source; `why` is the reason when it is unknown."""

    share: float
    found: Margin | None
    by: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        """Formats `0.012 nats (0.009 to 0.015), by its runs at 0.8 and 1.25 of its budget`."""
        if self.found is None:
            return f"not known in nats: {self.why}"
        between = self.found.interval()
        ends = f" ({between[0]:.3g} to {between[1]:.3g})" if between is not None else ""
        return f"{self.found.nats:.3g} nats{ends}, by {self.by}"


def in_nats(decide: Decide, margin: StatedMargin | None) -> Decide:
    """Returns the decision with its margin in nats; without a margin when one in compute could not be converted."""
    if margin is None:
        return decide
    text = None if margin.found is None else f"{margin.found.nats:.3g} nats"
    return decide.model_copy(update={"margin": text})


def margin_of(
    share: float, others: Mapping[float, Mapping[int, float]], own: Mapping[int, float], runs: Mapping[int, RunRecord]
) -> StatedMargin:
    """Returns the margin for `share` of the budget. others: final losses by relative budget and seed. own: final losses
    of the reference by seed. runs: the reference's finished runs.
    """
    if others:
        budgets = " and ".join(f"{budget:.3g}" for budget in sorted(others))
        losses: Mapping[float, Mapping[int, float]] = {1.0: own, **others}
        by = f"its runs at {budgets} of its budget"
    else:
        losses, by = _losses_by_share(runs), "the course of its own runs, before their rate has decayed: a guide"
    try:
        return StatedMargin(share, margin_of_budget(losses, share), by)
    except ValueError as error:
        return StatedMargin(share, None, by, str(error))


def _losses_by_share(runs: Mapping[int, RunRecord]) -> dict[float, dict[int, float]]:
    """Returns validation losses within the runs, by share of the steps and by seed."""
    found: dict[float, dict[int, float]] = {}
    for seed, run in runs.items():
        for step, loss in run.series.get("valid/loss", []):
            if LATE * run.step <= step < run.step:
                found.setdefault(step / run.step, {})[seed] = loss
    return found
