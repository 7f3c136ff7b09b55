"""The names of metrics for an objective or a constraint: metrics of a run's records and metrics of its forecast."""

from __future__ import annotations

from collections.abc import Iterable

from pld_search.specs.metrics import METRICS, SUITES, find
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.synonyms import meant
from pld_search.specs.validate import Refusal

TRAINED = tuple(row.name for row in METRICS if row.searchable and not row.before_training and not row.is_pattern)
"""Metrics that are known when a run has ended."""
PROFILED = ("forecast/seconds", "forecast/memory_gb")
"""Forecasts for an architecture that was calibrated on this machine: seconds of pre-training, peak memory in 10^9
bytes.
"""
BEFORE_TRAINING = tuple(row.name for row in METRICS if row.before_training)
FORECAST = tuple(name for name in BEFORE_TRAINING if name not in (*PROFILED, "forecast/parameters"))
"""The numbers of a `costs.run_cost.Forecast`."""
AT_A_RUNG = tuple(row.name for row in METRICS if row.at_a_rung)
"""Metrics that judge a run which has only reached a rung; valid/loss first."""


def known(name: str) -> str:
    """Returns `name` if it is a metric that a search may see. Raises Refusal (a ValueError) with a suggestion
    otherwise.

    `test/...` is refused: the search never sees the test split. Whether a study has the task of `glue/rte/accuracy` is
    checked after preparation (`unknown_tasks`).
    """
    row = find(name)
    if row is not None and row.searchable:
        return name
    if name.startswith("test/"):
        raise Refusal("the search never sees the test split", "valid/loss")
    names = [*TRAINED, *BEFORE_TRAINING, *(f"{suite}/average" for suite in SUITES)]
    same_end = [metric for metric in names if metric.split("/")[-1] == name.split("/")[-1]]
    raise Refusal(
        "no metric of this name (downstream: SUITE/average or SUITE/TASK/METRIC)",
        same_end[0] if same_end else meant(name, names),
    )


def suite_of(name: str) -> str | None:
    """Returns the suite of a downstream metric; None for any other metric."""
    row = find(name)
    return name.split("/")[0] if row is not None and row.downstream else None


def unknown_tasks(names: Iterable[str], prepared: Prepared) -> list[tuple[str, list[str]]]:
    """Returns the downstream names that no prepared task provides, each with the available names."""
    given = {f"{task.task.suite}/average" for task in prepared.tasks}
    given |= {f"{task.task.suite}/{task.task.name}/{metric}" for task in prepared.tasks for metric in task.task.metrics}
    return [(name, sorted(given)) for name in names if suite_of(name) is not None and name not in given]
