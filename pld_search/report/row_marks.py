"""The marks of a row that deviates from the common protocol; they stand below its name wherever rows are compared."""

from __future__ import annotations

from pld_search.report.comparison import SystemRow
from pld_search.report.number_text import duration
from pld_search.specs.experiment import Experiment
from pld_search.specs.pretraining import MLM
from pld_search.training.learning_rate import learning_rate


def marks(row: SystemRow) -> list[str]:
    """Returns the marks of a row; most rows have none."""
    whole = learns(row), tuned(row), undecayed(row.experiment)
    return [mark for mark in (*whole, *(recovered(row, seed) for seed in sorted(row.runs))) if mark]


def learns(row: SystemRow) -> str | None:
    """Marks an objective other than masked language modelling, whose losses are not comparable."""
    if row.objective == MLM:
        return None
    return f"learns {row.objective}: compared by downstream scores only, its losses are of another objective"


def tuned(row: SystemRow) -> str | None:
    """Marks the learning rate that a grid chose; a rate at the grid's end may not be the optimum."""
    if row.tuned is None or row.tuned.rate is None:
        return None
    text = f"lr {row.tuned.rate:.3g}, by {len(row.tuned.trials)} tuning runs"
    end = {"low": "lower", "high": "upper"}.get(row.tuned.edge or "")
    return text if end is None else f"{text}; at the {end} end of the rates tried: the optimum may lie beyond"


def undecayed(experiment: Experiment | None) -> str | None:
    """Marks a learning rate that never reaches 0: compared with a decayed rate, the decay causes part of a difference
    in loss (No Train No Gain, 2023).
    """
    if experiment is None or experiment.optimizer.shape != "exponential":
        return None
    last = learning_rate(experiment.optimizer, experiment.steps).at(experiment.steps)
    return f"lr not decayed: ends at {100 * last / experiment.optimizer.lr:.1f} % of its peak"


def recovered(row: SystemRow, seed: int) -> str | None:
    """Marks a run that diverged and recovered: the step, the method, and the repeated time."""
    run = row.runs[seed]
    if not run.recoveries:
        return None
    last = run.recoveries[-1]
    how = "fp32" if last.policy == "continue_in_fp32" else f"lr × {last.lr_factor:g}"
    whose = f"seed {seed}: " if row.planned > 1 else ""
    return f"{whose}{how} from step {last.from_step:,} ({duration(run.repeated_seconds)} repeated)"
