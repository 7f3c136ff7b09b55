from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from pld_search.analysis.lesions import Lesions
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.subnetwork import subnetwork
from pld_search.model.surroundings import Surrounding
from pld_search.schedules.plan import Gates
from tests.analysis.samples import sample, tokens
from tests.model.helpers import LAYERS, model_of


def by_hand(model: PldBertForMaskedLM, layers: Sequence[int]) -> float:
    """The loss where the blocks `layers` are called one after the other, without gates or a rearranged stack."""
    values = {name: torch.from_numpy(array) for name, array in tokens().arrays.items()}
    with torch.no_grad():
        x = model.bert.embeddings(values["input_ids"], None)
        for layer in layers:
            x = model.bert.encoder.blocks[layer - 1](x, Surrounding())
        x = model.bert.encoder.finish(x)
        rows = torch.arange(len(x))[:, None]
        logits = model.head(x[rows, values["positions"]], model.bert.embeddings.words.weight)
        chances = logits.log_softmax(-1)
        real = values["labels"] != -100
        picked = chances.gather(-1, values["labels"].clamp(min=0)[..., None]).squeeze(-1)
        return float(-picked[real].mean())


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_every_lesion_is_what_a_loop_over_the_blocks_gives(norm: str) -> None:
    model = model_of(norm).eval()
    own = list(model.blocks)
    lesions = Lesions(model, sample())
    close = {"rel": 1e-5}
    assert lesions.loss(lesions.all) == pytest.approx(by_hand(model, [1, 2, 3]), **close)
    assert lesions.without_each() == pytest.approx([by_hand(model, kept) for kept in ([2, 3], [1, 3], [1, 2])], **close)
    assert lesions.swapped() == pytest.approx([by_hand(model, order) for order in ([2, 1, 3], [1, 3, 2])], **close)
    assert lesions.lowest() == pytest.approx([by_hand(model, kept) for kept in ([1], [1, 2], [1, 2, 3])], **close)
    assert lesions.highest() == pytest.approx([by_hand(model, kept) for kept in ([3], [2, 3], [1, 2, 3])], **close)
    assert list(model.blocks) == own
    assert model.config.num_hidden_layers == LAYERS


def test_the_best_layers_are_found_one_after_the_other() -> None:
    model = model_of("pre").eval()
    best, gone = Lesions(model, sample()).best()
    two = {layer: by_hand(model, [other for other in (1, 2, 3) if other != layer]) for layer in (1, 2, 3)}
    first = min(two, key=lambda layer: two[layer])
    one = {layer: by_hand(model, [layer]) for layer in (1, 2, 3) if layer != first}
    stays = min(one, key=lambda layer: one[layer])
    assert gone == [first, 6 - first - stays]
    assert best == pytest.approx([one[stays], two[first], by_hand(model, [1, 2, 3])], rel=1e-5)


def test_scales_go_with_their_layers_and_a_subnetwork_has_none() -> None:
    model = model_of("pre").eval()
    model.full_depth = Gates((True,) * LAYERS, (1.0, 0.5, 0.25), "sublayer")
    lesions, held_out = Lesions(model, sample()), sample()
    with_two = subnetwork(model, [2, 3])
    assert lesions.lowest()[1] == pytest.approx(held_out.loss(subnetwork(model, [1, 2])), rel=1e-5)
    assert lesions.highest()[1] == pytest.approx(held_out.loss(with_two), rel=1e-5)
    with_two.full_depth = Gates((True, True), (0.5, 0.25), "sublayer")
    assert lesions.without_each()[0] == pytest.approx(held_out.loss(with_two), rel=1e-5)
    assert lesions.lowest()[-1] == lesions.loss(lesions.all) == held_out.loss(model)
    assert model.full_depth == Gates((True,) * LAYERS, (1.0, 0.5, 0.25), "sublayer")


def test_a_layer_keeps_its_kind_wherever_it_stands() -> None:
    """Local and global attention and the scale of norms go by the place in the whole network, as in a subnetwork."""
    model = model_of("pre", attention={"local": 4, "global_every": 3}, depth_scaled_norm=True, positions="rope").eval()
    held_out = sample()
    lesions = Lesions(model, held_out)
    assert lesions.highest()[1] == pytest.approx(held_out.loss(subnetwork(model, [2, 3])), rel=1e-5)
    assert lesions.without_each()[1] == pytest.approx(held_out.loss(subnetwork(model, [1, 3])), rel=1e-5)
    assert lesions.loss(lesions.all) == held_out.loss(model)
    assert model.config.layer_places is None
