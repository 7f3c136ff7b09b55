"""Runs all measurements of an analysis of one network."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from pld_search.analysis.block_similarity import block_similarity
from pld_search.analysis.gradient_norms import gradient_norms
from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.analysis.inference_speed import sequences_a_second
from pld_search.analysis.lesions import Lesions
from pld_search.model.layered_model import LayeredModel
from pld_search.records.layer_analysis import Elasticity, LayerAnalysis


def analyse(model: LayeredModel, sample: HeldOutSample, *, whole: bool = True) -> LayerAnalysis:
    """Analyses the layers of `model` on `sample`, without dropout, in the precision of the weights.

    whole: also swaps neighbours and computes the depth-elasticity curve, about L (L + 5) / 2 more passes over the
    sample. The model's gradients are discarded; everything else in it stays unchanged.
    """
    begun, training = time.perf_counter(), model.training
    model.eval()
    try:
        norms, similarity, lesions = (
            gradient_norms(model, sample),
            block_similarity(model, sample),
            Lesions(model, sample),
        )
        return LayerAnalysis(
            sequences=sample.sequences,
            loss=_known([lesions.loss(lesions.all)])[0],
            gradients={name: _known(values) for name, values in norms.items()},
            distance=_known(similarity.distance),
            cosine=_known(similarity.cosine),
            updates=_known(similarity.updates),
            without=_known(lesions.without_each()),
            swapped=_known(lesions.swapped()) if whole else None,
            elasticity=_elasticity(lesions) if whole else None,
            seconds=time.perf_counter() - begun,
        )
    finally:
        model.train(training)


def _elasticity(lesions: Lesions) -> Elasticity:
    best, gone = lesions.best()
    return Elasticity(
        lowest=_known(lesions.lowest()),
        highest=_known(lesions.highest()),
        best=_known(best),
        gone=gone,
        speed=_known(sequences_a_second(lesions.model, lesions.sample)),
    )


def _known(values: Iterable[float]) -> list[float | None]:
    """Returns the numbers with None for numbers that are not finite, as records hold them."""
    return [value if math.isfinite(value) else None for value in values]
