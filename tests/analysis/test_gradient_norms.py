from __future__ import annotations

import pytest
import torch

from pld_search.analysis.gradient_norms import gradient_norms
from tests.analysis.samples import sample, tokens
from tests.model.helpers import LAYERS, model_of


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_norms_are_those_of_autograd_over_the_whole_sample(norm: str) -> None:
    model, chunk = model_of(norm).eval(), tokens()
    found = gradient_norms(model, sample(chunk))
    assert all(parameter.grad is None for parameter in model.parameters())

    loss = model(**{name: torch.from_numpy(array) for name, array in chunk.arrays.items()}).loss
    named = dict(model.named_parameters())
    of_name = dict(zip(named, torch.autograd.grad(loss, list(named.values()), allow_unused=True), strict=True))
    for layer in range(LAYERS):
        for part in ("block", "attention", "feed_forward"):
            prefix = f"bert.encoder.blocks.{layer}." + ("" if part == "block" else part)
            gradients = [gradient for name, gradient in of_name.items() if name.startswith(prefix)]
            assert len(gradients) == {"block": 12, "attention": 6, "feed_forward": 6}[part]
            norm_there = torch.cat([gradient.flatten().double() for gradient in gradients]).norm()
            assert found[part][layer] == pytest.approx(float(norm_there), rel=1e-5)


def test_the_halves_of_a_layer_are_all_of_it() -> None:
    found = gradient_norms(model_of("pre").eval(), sample())
    for block, attention, feed_forward in zip(
        *(found[part] for part in ("block", "attention", "feed_forward")), strict=True
    ):
        assert block**2 == pytest.approx(attention**2 + feed_forward**2)
