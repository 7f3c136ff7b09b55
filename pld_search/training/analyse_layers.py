"""An analysis of the layers during a run. Its numbers become an event, and the run itself does not change."""

from __future__ import annotations

from pld_search.analysis.analyse import analyse
from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel
from pld_search.records.events import RunAnalysed
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import RunWriter
from pld_search.training.setup import Setup
from pld_search.training.state import State


def analyse_layers(setup: Setup, state: State, log: RunWriter) -> None:
    """Analyses the layers at full depth after `state.step` steps, and logs the result. The analysis after the last step
    also swaps neighbours, and measures the depth-elasticity curve and the speed at each depth.

    Works on a temporary copy of the weights in fp32: the run's model is not compiled again, its gradients do not
    change, and no random generator advances. All ranks gather the weights, and the first rank measures.
    """
    whole, ranks = state.whole(), setup.ranks

    def measured() -> LayerAnalysis:
        asked = setup.execution.analysis
        assert asked is not None and setup.fit is not None
        chunks = setup.held_out("validation", asked.sequences)
        sample = HeldOutSample.of(setup.objective, chunks, setup.device, setup.fit.size)
        return analyse(_copied(whole), sample, whole=state.step == setup.experiment.steps)

    log.emit(RunAnalysed(state.step, found=ranks.first_does(measured).record()))


def _copied(model: LayeredModel) -> LayeredModel:
    plain: LayeredModel = model.empty().to(next(model.parameters()).device)
    plain.load_state_dict(model.state_dict())
    return plain
