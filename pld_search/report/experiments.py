"""The experiment a run recorded of itself: its schedule and model for pictures, and the sampling error of what it executed."""

from __future__ import annotations

import math

import numpy as np
from pydantic import ValidationError

from pld_search.errors import StudyError
from pld_search.forecast.flops import run_flops, step_flops
from pld_search.records.run import RunRecord
from pld_search.records.trial import TrialRecord
from pld_search.schedules.layers import Layers
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Experiment

_CHUNK = 8192
TERA = 1e12


def experiment_of(trial: TrialRecord, run: RunRecord) -> Experiment | None:
    """The Experiment the run recorded when it started, before that the one asked for; None where none could be built."""
    recorded = run.started.get("experiment") or trial.asked.get("experiment")
    if recorded is None:
        return None
    try:
        return Experiment.model_validate(recorded)
    except ValidationError as error:
        raise StudyError(f"a run recorded an experiment that this version cannot read: {error.errors()[0]['msg']}") from error


def layers_variance(schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None) -> float:
    """Variance of the number of layers kept in one group over the steps `first` .. `last` - 1: the sum of p(1 - p) over them and the layers."""
    total = 0.0
    last = steps if last is None else last
    for start in range(first, last, _CHUNK):
        keep = schedule.keep_probabilities(np.arange(start, min(start + _CHUNK, last)), steps, layers)
        total += float(np.sum(keep * (1 - keep)))
    return total


def executed_sigma(experiment: Experiment) -> float:
    """Standard deviation, in TFLOP, of what one run executes: blocks are kept at random, independently a group."""
    variance, steps = 0.0, experiment.steps
    for first, last, flops in run_flops(experiment.model, experiment.data, experiment.batch, steps).ranges(steps):
        variance += flops.block**2 * layers_variance(experiment.schedule, steps, experiment.layers_at, first, last) / experiment.batch.groups
    return math.sqrt(variance) / TERA


def full_step(experiment: Experiment) -> float:
    """TFLOP of one step at full depth, of the last length: the grain to which a budget of FLOPs can be met."""
    flops = step_flops(experiment.model, experiment.data, experiment.batch)
    return (flops.block * experiment.model.layers + flops.head + flops.rest) / TERA


def model_text(experiment: Experiment) -> str:
    """`6 x 96, pre, alibi`; of a stack that grows `3→6 x 96, pre, alibi`."""
    model, growth = experiment.model, experiment.growth
    layers = str(model.layers) if growth is None else "→".join(str(size) for _, size in growth.pairs)
    return f"{layers} x {model.hidden}, {model.norm}, {model.positions}"


def growth_text(experiment: Experiment, run: RunRecord) -> str | None:
    """Where a stack grew, as its run recorded it (else as it is planned), and what its new layers began with; None where it does not."""
    growth = experiment.growth
    if growth is None:
        return None
    stack = growth.layers_at(experiment.steps)
    grown = run.grown or list(zip(stack.begins, stack.sizes, strict=True))[1:]
    depths = [f"{stack.sizes[0]} layers", *(f"{layers} from step {step:,}" for step, layers in grown)]
    return f"{', '.join(depths)} of {experiment.steps:,}; weights: {growth.weights}, moments: {growth.moments}"
