"""A margin stated in compute, in nats: what the reference would lose with so much less of its budget.

Where the study declares rows that are the reference at another budget (`budget_share: 80 %`), their final losses give
the slope. Without such rows it is that of the reference's own validation losses over the later part of its runs, whose
rate has not decayed yet: a guide, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pld_search.records.run_record import RunRecord
from pld_search.spaces.decide import Decide
from pld_search.statistics.margin import Margin, margin_of_budget

LATE = 0.4
"""The share of a run from which on its own curve counts; its end, which reads other sequences, does not."""


@dataclass(frozen=True, slots=True)
class StatedMargin:
    """`share` of the budget in nats, and by what it was found; `why` says why there is none."""

    share: float
    found: Margin | None
    by: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        """`0.012 nats (0.009 to 0.015), by its runs at 0.8 and 1.25 of its budget`."""
        if self.found is None:
            return f"not known in nats: {self.why}"
        between = self.found.interval()
        ends = f" ({between[0]:.3g} to {between[1]:.3g})" if between is not None else ""
        return f"{self.found.nats:.3g} nats{ends}, by {self.by}"


def in_nats(decide: Decide, margin: StatedMargin | None) -> Decide:
    """The decision with its margin in nats, or without one where a margin in compute could not be converted."""
    if margin is None:
        return decide
    text = None if margin.found is None else f"{margin.found.nats:.3g} nats"
    return decide.model_copy(update={"margin": text})


def margin_of(
    share: float, others: Mapping[float, Mapping[int, float]], own: Mapping[int, float], runs: Mapping[int, RunRecord]
) -> StatedMargin:
    """The margin for `share` of the budget: `others` are final losses by relative budget and seed, `own` those of the
    reference, whose finished runs are `runs`.
    """
    if others:
        budgets = " and ".join(f"{budget:.3g}" for budget in sorted(others))
        losses: Mapping[float, Mapping[int, float]] = {1.0: own, **others}
        by = f"its runs at {budgets} of its budget"
    else:
        losses, by = _course(runs), "the course of its own runs, before their rate has decayed: a guide"
    try:
        return StatedMargin(share, margin_of_budget(losses, share), by)
    except ValueError as error:
        return StatedMargin(share, None, by, str(error))


def _course(runs: Mapping[int, RunRecord]) -> dict[float, dict[int, float]]:
    """Validation losses within the runs, by the share of the steps and the seed."""
    found: dict[float, dict[int, float]] = {}
    for seed, run in runs.items():
        for step, loss in run.series.get("valid/loss", []):
            if LATE * run.step <= step < run.step:
                found.setdefault(step / run.step, {})[seed] = loss
    return found
