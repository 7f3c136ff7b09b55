"""Copies and pickles of an attached model, passes outside a step, and schedules of another depth."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pld_search.errors import AttachError, ConfigError
from pld_search.model.attach.layer_drop import attach
from tests.model.attach.more_models import LAYERS, MORE
from tests.model.attach.test_more_models import HALF, STEPS, a_changing_step

LLAMA = MORE["Llama"]


def pickled(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found: nn.Module = torch.load(file, weights_only=False)
    return found


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, lambda model: AveragedModel(model).module])
def test_a_copy_made_inside_a_step_runs_at_full_depth(copied: Any) -> None:
    model, batch = LLAMA.build(), LLAMA.batch()
    full = model(**batch).logits
    drop = attach(model, HALF, steps=STEPS)
    step = a_changing_step(drop)
    with drop.step(step):
        gated = model(**batch).logits
        other = copied(model)
        assert torch.equal(other(**batch).logits, full)
        assert torch.equal(model(**batch).logits, gated)
    assert type(other.model.layers) is nn.ModuleList
    assert torch.equal(other(**batch).logits, full)
    attach(other, HALF, steps=STEPS).detach()  # a copy is attached as any model


def test_a_copy_that_would_lose_its_factors_is_refused() -> None:
    model = LLAMA.build()
    drop = attach(model, HALF, steps=STEPS, rescale="evaluation")
    with pytest.raises(AttachError, match="rescale: evaluation"):
        copy.deepcopy(model)
    drop.detach()
    copy.deepcopy(model)


def test_a_training_pass_outside_a_step_warns_once() -> None:
    model, batch = LLAMA.build(), LLAMA.batch()
    drop = attach(model, HALF, steps=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with drop.step(0):
            model(**batch)
        with torch.no_grad():
            model(**batch)
        model.eval()(**batch)
    model.train()
    with pytest.warns(UserWarning, match=r"outside `drop.step"):
        model(**batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(**batch)


def test_a_schedule_of_another_depth_is_one_argument() -> None:
    table = {**HALF, "depth": {"kind": "table", "values": [1.0, 0.6]}}
    model = LLAMA.build()
    with pytest.raises(ConfigError, match="a table of 2 layers"):
        attach(model, table, steps=STEPS)
    drop = attach(model, table, steps=STEPS, written_for=2)
    found = drop.plan.schedule.keep_probabilities(0, STEPS, LAYERS)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.8, 0.8], atol=1e-9)
