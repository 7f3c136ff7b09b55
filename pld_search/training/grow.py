"""Growth: the model gets the layers of a stage right before the stage's first step."""

from __future__ import annotations

from pld_search.model.deepen import deepen
from pld_search.records.events import StackGrown
from pld_search.records.run_record import RunWriter
from pld_search.training.setup import Setup
from pld_search.training.state import State


def grow(setup: Setup, state: State, log: RunWriter, step: int) -> None:
    """Grows the model before step t = `step` if a stage begins there. Learning rate and loss scale do not change.

    A checkpoint after `step` completed steps was written before the growth, so a resume from it grows here as well;
    `grown` is therefore the only event that a resume from its own step supersedes (records/run_record.py). Raises
    Diverged for the previous step.
    """
    growth = setup.experiment.growth
    before, after = len(state.model.blocks), setup.plan.stack.before(step)
    if growth is None or before == after:
        return
    with state.telemetry.paused():
        with state.as_one_process():
            copied = deepen(state.model, setup.experiment.model, setup.experiment.seed, after, growth.weights)
            state.refit(copied if growth.moments == "copy" else {})
        log.emit(StackGrown(step, layers_from=before, layers_to=after, weights=growth.weights, moments=growth.moments))
