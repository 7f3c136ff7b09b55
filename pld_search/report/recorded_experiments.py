"""The experiment a run recorded of itself: its schedule and model for pictures, and the sampling error of what it
executed.
"""

from __future__ import annotations

from pydantic import ValidationError

from pld_search.costs.flops import run_flops
from pld_search.costs.run_cost import executed_std
from pld_search.errors import StudyError
from pld_search.records.run_record import RunRecord
from pld_search.records.trial_record import TrialRecord
from pld_search.specs.experiment import Experiment

TERA = 1e12


def experiment_of(trial: TrialRecord, run: RunRecord) -> Experiment | None:
    """The Experiment the run recorded when it started, before that the one asked for; None where none could
    be built.
    """
    try:
        return run.experiment or trial.experiment
    except ValidationError as error:
        raise StudyError(
            f"a run recorded an experiment that this version cannot read: {error.errors()[0]['msg']}"
        ) from error


def executed_sigma(experiment: Experiment) -> float:
    """Standard deviation, in TFLOP, of what one run executes (costs/run_cost.py)."""
    steps, batch = experiment.steps, experiment.batch
    flops = run_flops(experiment.model, experiment.data, batch, steps, experiment.pretraining)
    return executed_std(experiment.schedule, flops, experiment.layers_at, steps, batch.groups) / TERA


def full_step(experiment: Experiment) -> float:
    """TFLOP of one step at full depth, of the last length: the grain to which a budget of FLOPs can be met."""
    shapes = experiment.model, experiment.data, experiment.batch
    flops = run_flops(*shapes, experiment.steps, experiment.pretraining)
    last = flops.final
    return (last.block * experiment.model.layers + last.fixed + flops.second_at_full_depth(last)) / TERA


def model_text(experiment: Experiment) -> str:
    """`6 x 96, pre, alibi`, and options that are not BERT's; of a stack that grows `3→6 x 96, pre, alibi`."""
    model, growth = experiment.model, experiment.growth
    layers = str(model.layers) if growth is None else "→".join(str(size) for _, size in growth.pairs)
    return ", ".join((f"{layers} x {model.hidden}", model.norm, model.positions, *model.said))


def growth_text(experiment: Experiment, run: RunRecord) -> str | None:
    """Where a stack grew, as its run recorded it (else as it is planned), and what its new layers began with; None
    where it does not.
    """
    growth = experiment.growth
    if growth is None:
        return None
    stack = growth.layers_at(experiment.steps)
    grown = run.grown or list(zip(stack.begins, stack.sizes, strict=True))[1:]
    depths = [f"{stack.sizes[0]} layers", *(f"{layers} from step {step:,}" for step, layers in grown)]
    return f"{', '.join(depths)} of {experiment.steps:,}; weights: {growth.weights}, moments: {growth.moments}"
