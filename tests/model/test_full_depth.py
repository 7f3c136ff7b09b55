"""Weights that are evaluated with scaled residuals say so in their configuration, and every reader of them runs them
so.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pld_search.errors import CheckpointError, ConfigError
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.build_model import classifier, load_bert, masked_lm
from pld_search.model.pretrained import checkpoint_digest
from pld_search.model.transformers_config import PldBertConfig, config_of
from pld_search.model.transformers_keys import to_transformers
from pld_search.schedules.plan import Gates
from tests.model.helpers import inputs, randomise, spec

SCALED = Gates((True,) * 3, (1.0, 0.7, 0.4), "block")


def scaled_model() -> PldBertForMaskedLM:
    model = masked_lm(spec()).eval()
    randomise(model)
    model.config.full_depth = SCALED
    return model


def test_without_gates_the_configuration_speaks_and_given_gates_win() -> None:
    model, batch = scaled_model(), inputs()
    every = Gates((True,) * 3, (1.0,) * 3, "none")
    scaled, plain = model(**batch).logits, model(**batch, gates=every).logits
    assert torch.equal(scaled, model(**batch, gates=SCALED).logits)
    model.config.full_depth = None
    assert torch.equal(plain, model(**batch).logits)
    assert not torch.allclose(scaled, plain)


def test_a_saved_model_is_evaluated_as_it_was(tmp_path: Path) -> None:
    model, batch = scaled_model(), inputs()
    model.save_pretrained(tmp_path)
    for loaded in (load_bert(tmp_path), PldBertForMaskedLM.from_pretrained(tmp_path)):
        assert loaded.config.full_depth == SCALED
        assert torch.equal(loaded.eval()(**batch).logits, model(**batch).logits)
    scaled = checkpoint_digest(tmp_path)
    model.config.full_depth = None
    model.save_pretrained(tmp_path)
    assert checkpoint_digest(tmp_path) != scaled


def test_a_classifier_inherits_it() -> None:
    start = scaled_model()
    network = classifier(spec(), 2, "classification", start=start).eval()
    assert network.config.full_depth == SCALED
    ids = inputs()["input_ids"]
    assert torch.equal(network.bert(ids).last_hidden_state, start.bert(ids).last_hidden_state)


def test_it_cannot_be_lost_on_the_way_to_berts_own_form() -> None:
    model = scaled_model()
    with pytest.raises(CheckpointError, match="scales no residual"):
        to_transformers(model.state_dict(), model.config)


@pytest.mark.parametrize(
    "wrong", [{"residual_scale": [1.0]}, {"residual_scale": [1.0] * 3, "residual_scale_of": "none"}]
)
def test_a_scale_that_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="residual_scale"):
        config_of(spec(), **wrong)
    assert PldBertConfig().full_depth is None
