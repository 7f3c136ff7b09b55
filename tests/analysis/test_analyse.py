from __future__ import annotations

import copy

import pytest
import torch

from pld_search.analysis.analyse import analyse
from pld_search.analysis.inference_speed import sequences_a_second
from pld_search.records.layer_analysis import LayerAnalysis
from tests.analysis.samples import sample
from tests.model.helpers import LAYERS, model_of


@pytest.fixture(scope="module")
def found() -> LayerAnalysis:
    return analyse(model_of("pre"), sample())


def test_everything_is_measured_once_a_layer(found: LayerAnalysis) -> None:
    assert found.layers == LAYERS
    assert {name: len(values) for name, values in found.gradients.items()} == dict.fromkeys(
        ("block", "attention", "feed_forward"), LAYERS
    )
    assert [len(values) for values in (found.distance, found.cosine, found.without)] == [LAYERS] * 3
    assert found.swapped is not None and found.elasticity is not None
    assert [len(values) for values in (found.updates, found.swapped)] == [LAYERS - 1] * 2
    assert found.elasticity.best[-1] == found.elasticity.lowest[-1] == found.loss
    assert min(value for value in found.without if value is not None) == found.elasticity.best[-2]
    assert (found.sequences, found.elasticity.kept(LAYERS)) == (6, (1, 2, 3))
    assert found.elasticity.kept(1) == tuple({1, 2, 3} - set(found.elasticity.gone))


def test_it_comes_back_from_its_record(found: LayerAnalysis) -> None:
    assert LayerAnalysis.of({**found.record(), "later": 1}) == found
    short = analyse(model_of("pre"), sample(), whole=False)
    assert (short.swapped, short.elasticity) == (None, None)
    assert "elasticity" not in short.record()
    assert LayerAnalysis.of(short.record()) == short


def test_the_summary_answers_each_question_in_a_number(found: LayerAnalysis) -> None:
    said = found.summary()
    assert found.loss is not None and found.elasticity is not None
    assert said["analysis/gradient_ratio"] == found.gradients["block"][-1] / found.gradients["block"][0]  # type: ignore[operator]
    assert said["analysis/half_depth"] == found.elasticity.best[0] - found.loss  # type: ignore[operator]
    assert said["analysis/least_lesion"] <= said["analysis/worst_lesion"]


def test_the_model_stays_as_it_was(found: LayerAnalysis) -> None:
    model = model_of("post")
    before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    analyse(model, sample())
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())


def test_weights_that_are_not_finite_give_no_number() -> None:
    model = model_of("pre")
    with torch.no_grad():
        model.head.bias[7] = torch.nan
    found = analyse(model, sample(), whole=False)
    assert found.loss is None
    assert set(found.without) == {None}
    assert found.distance[0] is not None
    assert "analysis/worst_lesion" not in found.summary()


def test_every_depth_has_a_speed() -> None:
    rates = sequences_a_second(model_of("pre").eval(), sample())
    assert len(rates) == LAYERS
    assert all(rate > 0 for rate in rates)
