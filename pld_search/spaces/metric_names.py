"""The names of metrics that an objective or a constraint may use: those of a run's records and those of its
forecast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields

from pld_search.costs.run_cost import Forecast
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.synonyms import meant
from pld_search.specs.validate import Refusal

TRAINED = (
    "valid/loss",
    "train/loss",
    "train/lr",
    "train/grad_norm",
    "speed/tokens_per_second",
    "speed/step_ms",
    "speed/mfu",
    "speed/relative",
    "saved/flops",
    "saved/block_flops",
    "drop/theta",
    "drop/layers_kept",
    "divergence/diverged",
    "divergence/first_bad_step",
    "divergence/skipped_steps",
    "divergence/min_loss_scale",
    "divergence/loss_spikes",
    "progress/tokens",
    "progress/tflop",
    "progress/seconds",
    "progress/repeated_tflop",
)
FORECAST = tuple(f"forecast/{field.name}" for field in fields(Forecast) if field.type in ("int", "float", int, float))
SIZED = ("forecast/parameters",)
PROFILED = ("forecast/seconds", "forecast/memory_gb")
"""Known of an architecture that was calibrated on this machine: seconds of pre-training, and peak memory in 10^9 bytes.
"""
BEFORE_TRAINING = (*FORECAST, *SIZED, *PROFILED)
SHARES = frozenset(
    {
        "saved/flops",
        "saved/block_flops",
        "forecast/saved_flops",
        "forecast/saved_block_flops",
        "speed/mfu",
        "drop/theta",
    }
)
SECONDS = frozenset({"progress/seconds", "forecast/seconds"})
FORECAST_OF = {
    "saved/flops": ("forecast/saved_flops", 1.0),
    "saved/block_flops": ("forecast/saved_block_flops", 1.0),
    "progress/tflop": ("forecast/total_flops", 1e-12),
    "progress/tokens": ("forecast/tokens", 1.0),
}
"""What a run will have saved or spent at its end is known before it starts: metric -> (its forecast, units of the
metric in one of the forecast).
"""
AT_A_RUNG = ("valid/loss", *FORECAST_OF)
"""What a run that has only reached a rung can be judged by."""
_TASK = re.compile(r"(glue|demo|task)/(average|[A-Za-z0-9_-]+/[A-Za-z0-9_-]+)")


def known(name: str) -> str:
    """`name`, if it is a metric that a search may see. Raises Refusal (a ValueError) with what was meant.

    `test/...` is refused: the search never sees the test split. Whether a study has the task of `glue/rte/accuracy` is
    known once it is prepared (`unknown_tasks`).
    """
    if name in TRAINED or name in BEFORE_TRAINING or _TASK.fullmatch(name):
        return name
    if name.startswith("test/"):
        raise Refusal("the search never sees the test split", "valid/loss")
    names = [*TRAINED, *BEFORE_TRAINING, "glue/average", "demo/average", "task/average"]
    same_end = [metric for metric in names if metric.split("/")[-1] == name.split("/")[-1]]
    raise Refusal(
        "no metric of this name (downstream: SUITE/average or SUITE/TASK/METRIC)",
        same_end[0] if same_end else meant(name, names),
    )


def suite_of(name: str) -> str | None:
    """The suite of a downstream metric, None for any other."""
    match = _TASK.fullmatch(name)
    return match[1] if match else None


def unknown_tasks(names: Iterable[str], prepared: Prepared) -> list[tuple[str, list[str]]]:
    """Downstream names that no prepared task gives, each with the names there are."""
    given = {f"{task.task.suite}/average" for task in prepared.tasks}
    given |= {f"{task.task.suite}/{task.task.name}/{metric}" for task in prepared.tasks for metric in task.task.metrics}
    return [(name, sorted(given)) for name in names if _TASK.fullmatch(name) and name not in given]
