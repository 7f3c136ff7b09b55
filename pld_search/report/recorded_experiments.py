"""The experiment that a run recorded: its schedule and model for pictures, and the sampling error of its executed
FLOPs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from pydantic import ValidationError

from pld_search.costs.flops import run_flops
from pld_search.costs.run_cost import executed_std
from pld_search.errors import StudyError
from pld_search.records.run_record import RunRecord
from pld_search.records.trial_record import TrialRecord
from pld_search.schedules.existing_layers import Layers
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Experiment, Model
from pld_search.specs.pretraining import Pretraining

TERA = 1e12


def experiment_of(trial: TrialRecord, run: RunRecord) -> Experiment | None:
    """Returns the Experiment that the run recorded at its start, else the one asked for; None when none could be built.
    Raises StudyError for an experiment that this version cannot read.
    """
    try:
        return run.experiment or trial.experiment
    except ValidationError as error:
        raise StudyError(
            f"a run recorded an experiment that this version cannot read: {error.errors()[0]['msg']}"
        ) from error


def executed_sigma(experiment: Experiment) -> float:
    """Returns the standard deviation, in TFLOP, of the FLOPs that one run executes (costs/run_cost.py)."""
    shapes = experiment.model, experiment.data, experiment.batch
    return _executed_sigma(*shapes, experiment.schedule, experiment.layers_at, experiment.steps, experiment.pretraining)


@lru_cache(maxsize=512)
def _executed_sigma(
    model: Model,
    data: Data,
    batch: Batch,
    schedule: Schedule,
    layers: Layers,
    steps: int,
    pretraining: Pretraining | None,
) -> float:
    """The rows of a search often differ in values that do not count here, such as the learning rate."""
    flops = run_flops(model, data, batch, steps, pretraining)
    return executed_std(schedule, flops, layers, steps, batch.groups) / TERA


def full_step(experiment: Experiment) -> float:
    """Returns the TFLOP of one step at full depth and the last length: the precision with which a FLOP budget
    is met.
    """
    shapes = experiment.model, experiment.data, experiment.batch
    flops = run_flops(*shapes, experiment.steps, experiment.pretraining)
    last = flops.final
    return (last.block * experiment.model.layers + last.fixed + flops.second_at_full_depth(last)) / TERA


def shared_options(experiments: Sequence[Experiment]) -> frozenset[str]:
    """Returns the non-BERT options that all of two or more models share, since these do not distinguish the models."""
    said = [frozenset(each.model.said) for each in experiments]
    return frozenset.intersection(*said) if len(said) > 1 else frozenset()


def model_text(experiment: Experiment, shared: Collection[str] = ()) -> str:
    """Formats a model as `6 x 96, pre, alibi`, with the options that differ from BERT's and are not in `shared`. A
    growing model is formatted as `3→6 x 96, pre, alibi`.
    """
    model, growth = experiment.model, experiment.growth
    layers = str(model.layers) if growth is None else "→".join(str(size) for _, size in growth.pairs)
    own = (option for option in model.said if option not in shared)
    return ", ".join((f"{layers} x {model.hidden}", model.norm, model.positions, *own))


def growth_text(experiment: Experiment, run: RunRecord) -> str | None:
    """Returns where a stack grew, as its run recorded it (else as planned), and the initial values of new layers; None
    for a stack that does not grow.
    """
    growth = experiment.growth
    if growth is None:
        return None
    stack = growth.layers_at(experiment.steps)
    grown = run.grown or list(zip(stack.begins, stack.sizes, strict=True))[1:]
    depths = [f"{stack.sizes[0]} layers", *(f"{layers} from step {step:,}" for step, layers in grown)]
    return f"{', '.join(depths)} of {experiment.steps:,}; weights: {growth.weights}, moments: {growth.moments}"
