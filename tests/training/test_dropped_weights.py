"""What becomes of weights that no group has kept: freeze, decay, zero_grad."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment, Optimizer
from pld_search.training import dropped_weights, state
from pld_search.training.optimizer import adamw
from pld_search.training.setup import open_setup
from pld_search.training.step import train_step

SPEC = Optimizer(lr=0.01, weight_decay=0.1)


def after_skipped_steps(treatment: str) -> tuple[float, float, dict[str, Tensor], dict[str, Tensor]]:
    """A weight of 1 after one step with a gradient, and after 20 steps without; with its moments at both times."""
    weight = nn.Parameter(torch.ones(1, 1))
    optimizer = adamw([weight], SPEC)
    weight.grad = torch.ones(1, 1)
    optimizer.step()
    first, moments = weight.item(), {name: value.clone() for name, value in optimizer.state[weight].items()}
    for _ in range(20):
        optimizer.zero_grad(set_to_none=True)
        if treatment == "zero_grad":
            dropped_weights.zero_gradients([weight])
        optimizer.step()
        if treatment == "decay":
            dropped_weights.decay([weight], SPEC.lr * SPEC.weight_decay, torch.tensor(1.0))
    return first, weight.item(), moments, optimizer.state[weight]


def test_momentum_moves_a_weight_with_a_zero_gradient_and_nothing_a_frozen_one() -> None:
    first, last, *_, after = after_skipped_steps("zero_grad")
    assert first == pytest.approx(0.989, abs=1e-3)
    assert last == pytest.approx(0.93, abs=0.02) and last < first - 0.04  # plain AdamW, measured once: 0.989 -> 0.926
    assert after["step"].item() == 21
    frozen, still, before, after = after_skipped_steps("freeze")
    assert frozen == still
    assert all(torch.equal(before[name], after[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_decay_is_the_decay_of_adamw_and_leaves_moments_alone() -> None:
    first, last, before, after = after_skipped_steps("decay")
    assert last == pytest.approx(first * (1 - SPEC.lr * SPEC.weight_decay) ** 20, rel=1e-6)
    assert all(torch.equal(before[name], after[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


@pytest.mark.parametrize("norm", [math.inf, math.nan])
def test_gradients_that_are_not_finite_decay_nothing(norm: float) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    dropped_weights.decay([weight], 0.5, torch.tensor(norm))
    assert torch.equal(weight, torch.ones(2, 2))


def test_only_matrices_decay_and_only_those_without_a_gradient() -> None:
    touched, matrix, vector = (
        nn.Parameter(torch.ones(2, 2)),
        nn.Parameter(torch.ones(2, 2)),
        nn.Parameter(torch.ones(2)),
    )
    touched.grad = torch.zeros(2, 2)
    dropped_weights.decay([touched, matrix, vector], 0.5, torch.tensor(1.0))
    assert (touched[0, 0].item(), matrix[0, 0].item(), vector[0].item()) == (1.0, 0.5, 1.0)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("unit", ["layer", "sublayer"])
@pytest.mark.parametrize("treatment", ["freeze", "decay", "zero_grad"])
def test_in_a_run_what_no_group_keeps_is_treated_so(
    treatment: str,
    unit: str,
    precision: str,
    experiment: Callable[..., Experiment],
    execution: Callable[..., Execution],
) -> None:
    base = experiment(
        schedule="pld",
        steps=40,
        precision=precision,
        model={"layers": 3, "hidden": 16, "intermediate": 32},
        batch={"sequences": 4, "groups": 1},
    )
    written = base.model_dump(mode="json")
    written["schedule"] |= {"skipped": treatment, "draw": {"kind": "bernoulli", "per": "group", "unit": unit}}
    setup = open_setup(Experiment.model_validate(written), execution())
    progress = state.fresh(setup)
    blocks, seen = progress.model.bert.encoder.blocks, 0
    for step in range(20):
        kept = setup.plan.kept_sublayers([step])[0, 0]
        before = {
            name: (value.detach().clone(), progress.optimizer.state.get(value, {}).get("step"))
            for name, value in blocks.named_parameters()
        }
        train_step(setup, progress, step, setup.batch_at(step))
        for name, value in blocks.named_parameters():
            if kept[int(name[0]), int("feed_forward" in name)]:
                continue
            held, count = before[name]
            factor = 1 - setup.rate.at(step) * setup.experiment.optimizer.weight_decay
            if treatment == "zero_grad":
                assert not torch.equal(value, held) or (value.ndim < 2 and count is None)
            elif treatment == "decay" and value.ndim >= 2:
                torch.testing.assert_close(value, held * factor, rtol=1e-6, atol=0)
            else:
                assert torch.equal(value, held)
            seen += 1
    assert seen > 30
