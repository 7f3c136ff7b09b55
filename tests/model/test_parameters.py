"""The count from the shapes is the count of the model."""

from __future__ import annotations

import pytest

from pld_search.costs.parameters import checkpoint_bytes, parameters_of
from pld_search.model.build_model import masked_lm
from pld_search.specs.experiment import Model


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["learned", "alibi"])
def test_parameters(norm: str, positions: str) -> None:
    spec = Model(
        layers=3, hidden=32, heads=4, intermediate=80, vocabulary=130, norm=norm, positions=positions, max_length=24
    )  # type: ignore[arg-type]
    counted = sum(parameter.numel() for parameter in masked_lm(spec).parameters())
    assert parameters_of(spec) == counted
    assert checkpoint_bytes(spec) == 12 * counted
