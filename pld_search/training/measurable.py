"""An experiment as far as the cost of its steps goes: what it would take, without being it."""

from __future__ import annotations

from pld_search.costs.load_schedule import load_schedule
from pld_search.specs.experiment import Divergence, Evaluation, Experiment, Optimizer


def measurable(experiment: Experiment, steps: int) -> Experiment:
    """`steps` steps at full depth of all layers and the longest sequences, in the largest batch: fresh weights, a rate
    too small to matter, nothing to evaluate.
    """
    changes = {
        "model": experiment.model.model_copy(update={"checkpoint": None}),
        "data": experiment.data.model_copy(update={"length": experiment.data.final_length}),
        "batch": experiment.batch.of(experiment.batch.most),
        "optimizer": Optimizer(lr=1e-6),
        "divergence": Divergence(chance="100 %"),  # at that rate the loss is a uniform guess throughout
        "on_divergence": "stop",
        "evaluation": Evaluation(),
        "growth": None,
        "schedule": load_schedule("full", layers=experiment.model.layers, steps=steps),
        "steps": steps,
    }
    return experiment.model_copy(update=changes)
