"""The experiment whose steps cost as much as the steps of a given experiment, and which does nothing else."""

from __future__ import annotations

from pld_search.costs.load_schedule import load_schedule
from pld_search.specs.experiment import Divergence, Evaluation, Experiment, Optimizer


def measurable(experiment: Experiment, steps: int) -> Experiment:
    """Returns an experiment of `steps` steps with all layers at full depth, the longest sequences and the largest
    batch. It starts from fresh weights, uses a rate too small to matter, and evaluates nothing.
    """
    changes = {
        "model": experiment.model.model_copy(update={"checkpoint": None}),
        "data": experiment.data.model_copy(update={"length": experiment.data.final_length}),
        "batch": experiment.batch.of(experiment.batch.most),
        "optimizer": Optimizer(lr=1e-6),
        "divergence": Divergence(chance="100 %"),  # at this learning rate the loss stays at a uniform guess
        "on_divergence": "stop",
        "evaluation": Evaluation(),
        "growth": None,
        "schedule": load_schedule("full", layers=experiment.model.layers, steps=steps),
        "steps": steps,
    }
    return experiment.model_copy(update=changes)
