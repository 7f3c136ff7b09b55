"""What early stopping would do, in a plan: the rungs of a configuration, and what the search is expected to cost with
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pld_search.spaces.early_stopping import EarlyStopping
    from pld_search.spaces.study import Search
    from pld_search.specs.experiment import Experiment

TERA = 1e12


def rungs_of(experiment: Experiment, rule: EarlyStopping) -> list[dict[str, Any]]:
    """Share, step, TFLOP from the rung before, and steps and TFLOP of the branch that is ranked there (0 where none
    is).

    Raises ConfigError where the run has too few steps.
    """
    from pld_search.costs.branch_steps import branch_end
    from pld_search.costs.rung_steps import rung_steps, spent_between
    from pld_search.spaces.early_stopping import Promotion

    found, begin = [], 0
    for share, step in zip(rule.shares, rung_steps(experiment, rule.shares), strict=True):
        end = branch_end(experiment.optimizer, step, experiment.steps) if isinstance(rule, Promotion) else step
        costs = {
            "tflop": spent_between(experiment, begin, step) / TERA,
            "branch_tflop": spent_between(experiment, step, end) / TERA,
        }
        found.append({"share": float(share), "step": step, "branch_steps": end - step, **costs})
        begin = step
    return found


def search_cost(search: Search, batch: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """TFLOP of the sampled trials' one seed by the mean of the first batch, against all of them run to the end; None
    without a rule or a batch.

    With promotion floor(n / eta) of n go on from a rung, at least one: `tflop` is what is expected. How many a pruner
    stops is not known before, so that its `tflop` is None and the whole is the bound.
    """
    from pld_search.spaces.early_stopping import Promotion

    rows = [row for row in batch if row.get("rungs")]
    if search.early_stopping is None or not rows:
        return None
    whole = search.trials * sum(row["tflop"] for row in rows) / len(rows)
    if not isinstance(search.early_stopping, Promotion):
        return {"tflop": None, "whole_tflop": whole, "finish": None}
    spent, there = 0.0, search.trials
    for rung in range(len(rows[0]["rungs"])):
        each = [row["rungs"][rung]["tflop"] + row["rungs"][rung]["branch_tflop"] for row in rows]
        spent, there = spent + there * sum(each) / len(each), max(1, there // search.early_stopping.eta)
    last = [row["tflop"] - sum(rung["tflop"] for rung in row["rungs"]) for row in rows]
    return {"tflop": spent + there * sum(last) / len(last), "whole_tflop": whole, "finish": there}
