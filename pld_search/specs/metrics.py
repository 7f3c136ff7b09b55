"""The registry of metrics, one row for each: its unit, its direction, and whether it is known before a run ends.

Four readers share the table: `spaces` (names for objectives and constraints), `search` (the value of a diverged run,
the metrics that are known at a rung), `tracking` (the numbers that MLflow shows) and `report` (units and directions). A
new metric is a new row here and the number that a run writes under its name.

A name may be a pattern: `<suite>/<task>/<metric>` matches every name of three parts whose first part is a suite.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["minimize", "maximize"]
Guess = Literal["uniform guess", "uniform token", "coin"]
Unit = Literal["nats", "share", "seconds", "milliseconds", "1/s", "TFLOP", "FLOPs", "GB", "score", "1"]
SUITES = ("glue", "demo", "task")
"""First parts of the names of downstream scores."""
_PARTS = {"<suite>": "|".join(SUITES), "<task>": "[A-Za-z0-9_-]+", "<metric>": "[A-Za-z0-9_-]+"}
_FAR = 1e9
"""The value of a diverged run for an unbounded metric. Samplers compare ranks, so its size does not matter."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the registry.

    direction: the better direction; None for a metric without one.
    worst: the value of a diverged run where the metric is maximized, in the metric's unit. Or the loss of a guess, for
    either direction: "uniform guess" of the whole objective (ln V of the unpadded vocabulary for masked language
    modelling), "uniform token" ln V, "coin" ln 2. None: the metric is unbounded, and a large number is used.
    searchable: whether an objective or a constraint may name it (a search never sees the test split).
    at_a_rung: whether a run has it when it has only reached a rung.
    forecast: the name of its forecast, and the factor from the forecast's unit to the metric's unit, for quantities
    that a run saves or spends up to its end.
    """

    name: str
    unit: Unit
    direction: Direction | None = None
    worst: float | Guess | None = None
    searchable: bool = True
    at_a_rung: bool = False
    forecast: tuple[str, float] | None = None

    @property
    def before_training(self) -> bool:
        """Whether the number is a forecast, which is known before a run starts."""
        return self.name.startswith("forecast/")

    @property
    def downstream(self) -> bool:
        """Whether the metric is the score of a task after fine-tuning."""
        return self.name.startswith("<suite>/")

    @property
    def is_pattern(self) -> bool:
        """Whether the row matches several names."""
        return "<" in self.name

    def worst_value(self, direction: Direction, vocabulary: int, chance: float | None = None) -> float:
        """Returns the finite value of a diverged run in an objective of this direction. `chance` is the loss of a
        uniform guess under the run's objective; None means masked language modelling.
        """
        if isinstance(self.worst, str):
            token = math.log(vocabulary)
            guesses = {"uniform guess": token if chance is None else chance, "uniform token": token}
            return guesses.get(self.worst, math.log(2))
        if direction == "minimize":
            return _FAR
        return -_FAR if self.worst is None else float(self.worst)


METRICS = (
    Metric("valid/loss", "nats", "minimize", "uniform guess", at_a_rung=True),
    Metric("train/loss", "nats", "minimize", "uniform guess"),
    Metric("test/loss", "nats", "minimize", "uniform guess", searchable=False),
    Metric("valid/mlm_loss", "nats", "minimize", "uniform token"),
    Metric("valid/nsp_loss", "nats", "minimize", "coin"),
    Metric("valid/nsp_accuracy", "share", "maximize", 0.0),
    Metric("valid/rtd_loss", "nats", "minimize", "coin"),
    Metric("valid/rtd_f1", "share", "maximize", 0.0),
    Metric("valid/rtd_auc", "share", "maximize", 0.5),
    Metric("valid/rtd_constant_f1", "share"),
    Metric("test/rtd_auc", "share", "maximize", 0.5, searchable=False),
    Metric("test/rtd_constant_f1", "share", searchable=False),
    Metric("test/rtd_loss", "nats", "minimize", "coin", searchable=False),
    Metric("test/rtd_f1", "share", "maximize", 0.0, searchable=False),
    Metric("test/mlm_loss", "nats", "minimize", "uniform token", searchable=False),
    Metric("test/nsp_loss", "nats", "minimize", "coin", searchable=False),
    Metric("test/nsp_accuracy", "share", "maximize", 0.0, searchable=False),
    Metric("train/lr", "1"),
    Metric("train/grad_norm", "1"),
    Metric("speed/tokens_per_second", "1/s", "maximize", 0.0),
    Metric("speed/step_ms", "milliseconds", "minimize", 0.0),
    Metric("speed/mfu", "share", "maximize", 0.0),
    Metric("speed/relative", "1", "maximize", 0.0),
    Metric("speed/relative_q1", "1", "maximize", 0.0),
    Metric("speed/relative_q3", "1", "maximize", 0.0),
    Metric("saved/flops", "share", "maximize", 0.0, at_a_rung=True, forecast=("forecast/saved_flops", 1.0)),
    Metric("saved/block_flops", "share", "maximize", 0.0, at_a_rung=True, forecast=("forecast/saved_block_flops", 1.0)),
    Metric("drop/theta", "share"),
    Metric("drop/layers_kept", "1"),
    Metric("divergence/diverged", "1", "minimize"),
    Metric("divergence/first_bad_step", "1", "maximize"),
    Metric("divergence/skipped_steps", "1", "minimize"),
    Metric("divergence/min_loss_scale", "1", "maximize"),
    Metric("divergence/loss_spikes", "1", "minimize"),
    Metric("progress/tokens", "1", at_a_rung=True, forecast=("forecast/tokens", 1.0)),
    Metric("progress/tflop", "TFLOP", "minimize", at_a_rung=True, forecast=("forecast/total_flops", 1e-12)),
    Metric("progress/seconds", "seconds", "minimize"),
    Metric("progress/repeated_tflop", "TFLOP", "minimize"),
    Metric("analysis/gradient_ratio", "1", searchable=False),
    Metric("analysis/cosine", "1", searchable=False),
    Metric("analysis/updates", "1", searchable=False),
    Metric("analysis/least_lesion", "nats", searchable=False),
    Metric("analysis/worst_lesion", "nats", searchable=False),
    Metric("analysis/half_depth", "nats", searchable=False),
    Metric("analysis/seconds", "seconds", searchable=False),
    Metric("<suite>/average", "score", "maximize", 0.0),
    Metric("<suite>/<task>/mcc", "score", "maximize", -1.0),
    Metric("<suite>/<task>/matthews_correlation", "score", "maximize", -1.0),
    Metric("<suite>/<task>/pearson", "score", "maximize", -1.0),
    Metric("<suite>/<task>/spearman", "score", "maximize", -1.0),
    Metric("<suite>/<task>/<metric>", "score", "maximize", 0.0),
    Metric("forecast/steps", "1"),
    Metric("forecast/layers", "1"),
    Metric("forecast/groups", "1"),
    Metric("forecast/expected_layers_mean", "1"),
    Metric("forecast/expected_layers_end", "1"),
    Metric("forecast/existing_layers_mean", "1"),
    Metric("forecast/touched_layers_mean", "1"),
    Metric("forecast/layers_std", "1"),
    Metric("forecast/saved_block_flops", "share", "maximize"),
    Metric("forecast/tokens", "1"),
    Metric("forecast/attention_flops", "FLOPs", "minimize"),
    Metric("forecast/feed_forward_flops", "FLOPs", "minimize"),
    Metric("forecast/block_flops", "FLOPs", "minimize"),
    Metric("forecast/head_flops", "FLOPs", "minimize"),
    Metric("forecast/rest_flops", "FLOPs", "minimize"),
    Metric("forecast/total_flops", "FLOPs", "minimize"),
    Metric("forecast/step_flops_std", "FLOPs", "minimize"),
    Metric("forecast/saved_flops", "share", "maximize"),
    Metric("forecast/parameters", "1", "minimize"),
    Metric("forecast/seconds", "seconds", "minimize"),
    Metric("forecast/memory_gb", "GB", "minimize"),
)
"""The rows. If several patterns match a name, the first one counts."""
_NAMED = {row.name: row for row in METRICS if not row.is_pattern}


def _compiled(name: str) -> re.Pattern[str]:
    return re.compile("/".join(f"(?:{_PARTS.get(part, re.escape(part))})" for part in name.split("/")))


_PATTERNS = tuple((_compiled(row.name), row) for row in METRICS if row.is_pattern)
GROUPS = tuple(dict.fromkeys([row.name.split("/")[0] for row in _NAMED.values() if not row.before_training])) + SUITES
"""First parts of the names that a run writes."""


def find(name: str) -> Metric | None:
    """Returns the row of a name; None if no row matches."""
    if name in _NAMED:
        return _NAMED[name]
    return next((row for pattern, row in _PATTERNS if pattern.fullmatch(name)), None)


def metric(name: str) -> Metric:
    """Returns the row of a name that was checked before. Raises KeyError if no row matches."""
    row = find(name)
    if row is None:
        raise KeyError(name)
    return row


def is_downstream(name: str) -> bool:
    """Whether a name is the score of a task after fine-tuning, or an average of scores."""
    return name.split("/")[0] in SUITES


def unit_text(name: str) -> str:
    """Returns the unit as text for a heading or an axis; empty for a metric without a unit to show."""
    row = find(name)
    return row.unit if row is not None and row.unit not in ("1", "share", "score") else ""
