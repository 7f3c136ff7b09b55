"""The names of metrics that an objective or a constraint may use: those of a run's records and those of its
forecast.
"""

from __future__ import annotations

from collections.abc import Iterable

from pld_search.specs.metrics import METRICS, SUITES, find
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.synonyms import meant
from pld_search.specs.validate import Refusal

TRAINED = tuple(row.name for row in METRICS if row.searchable and not row.before_training and not row.is_pattern)
"""Known once a run has ended."""
PROFILED = ("forecast/seconds", "forecast/memory_gb")
"""Known of an architecture that was calibrated on this machine: seconds of pre-training, and peak memory in 10^9 bytes.
"""
BEFORE_TRAINING = tuple(row.name for row in METRICS if row.before_training)
FORECAST = tuple(name for name in BEFORE_TRAINING if name not in (*PROFILED, "forecast/parameters"))
"""The numbers of a `costs.run_cost.Forecast`."""
AT_A_RUNG = tuple(row.name for row in METRICS if row.at_a_rung)
"""What a run that has only reached a rung can be judged by; valid/loss first."""


def known(name: str) -> str:
    """`name`, if it is a metric that a search may see. Raises Refusal (a ValueError) with what was meant.

    `test/...` is refused: the search never sees the test split. Whether a study has the task of `glue/rte/accuracy` is
    known once it is prepared (`unknown_tasks`).
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
    """The suite of a downstream metric, None for any other."""
    row = find(name)
    return name.split("/")[0] if row is not None and row.downstream else None


def unknown_tasks(names: Iterable[str], prepared: Prepared) -> list[tuple[str, list[str]]]:
    """Downstream names that no prepared task gives, each with the names there are."""
    given = {f"{task.task.suite}/average" for task in prepared.tasks}
    given |= {f"{task.task.suite}/{task.task.name}/{metric}" for task in prepared.tasks for metric in task.task.metrics}
    return [(name, sorted(given)) for name in names if suite_of(name) is not None and name not in given]
