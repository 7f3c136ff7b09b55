"""AdamW: what decays, what a missing gradient leaves alone, what a gradient that is not finite changes (nothing)."""

import math

import pytest
import torch
from torch import nn

from pld_search.model.build_model import masked_lm
from pld_search.specs.experiment import Model, Optimizer
from pld_search.training.optimizer import adamw, guarded_step, set_lr
from pld_search.training.precision import Numerics

SPEC = Optimizer(lr=0.1, weight_decay=0.5)


def test_matrices_decay_and_embeddings_are_matrices_biases_and_norms_do_not() -> None:
    model = masked_lm(Model(layers=1, hidden=8, heads=1, intermediate=16, vocabulary=64))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = adamw(model.parameters(), SPEC)
    decayed, plain = ([names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert "bert.embeddings.words.weight" in decayed
    assert all(name.endswith("weight") and ".norm" not in name and "_norm" not in name for name in decayed)
    assert all(name.endswith("bias") or "norm" in name for name in plain)
    assert len(decayed) + len(plain) == len(names)


def pair() -> tuple[nn.Parameter, nn.Parameter, torch.optim.AdamW]:
    touched, left = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    return touched, left, adamw([touched, left], SPEC)


def test_a_parameter_without_a_gradient_is_left_alone_with_its_moments_and_its_count() -> None:
    touched, left, optimizer = pair()
    for step in range(6):
        touched.grad = torch.full((2, 2), 0.3)
        left.grad = torch.full((2, 2), 0.3) if step < 2 else None
        optimizer.step()
        if step == 1:
            held = left.detach().clone(), {name: value.clone() for name, value in optimizer.state[left].items()}
    assert torch.equal(left, held[0])
    assert all(torch.equal(optimizer.state[left][name], value) for name, value in held[1].items())
    assert (optimizer.state[left]["step"].item(), optimizer.state[touched]["step"].item()) == (2, 6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_change_nothing(bad: float) -> None:
    touched, left, optimizer = pair()
    touched.grad = left.grad = torch.full((2, 2), 0.3)
    guarded_step(optimizer, torch.tensor(1.0))
    held = touched.detach().clone(), optimizer.state[touched]["exp_avg"].clone()
    guarded_step(optimizer, torch.tensor(bad))
    assert torch.equal(touched, held[0])
    assert torch.equal(optimizer.state[touched]["exp_avg"], held[1])
    assert optimizer.state[touched]["step"].item() == 1


def test_a_guarded_step_is_a_plain_one_where_all_is_finite() -> None:
    touched, _, optimizer = pair()
    other, _, plain = pair()
    other.grad = touched.grad = torch.full((2, 2), 0.3)
    guarded_step(optimizer, torch.tensor(0.6))
    plain.step()
    assert torch.equal(touched, other)


def test_the_rate_reaches_every_group() -> None:
    *_, optimizer = pair()
    set_lr(optimizer, 0.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_clipping_is_to_the_global_norm_of_the_unscaled_gradients(precision: str) -> None:
    numerics = Numerics(precision, torch.device("cpu"))  # type: ignore[arg-type]
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))]
    sgd = torch.optim.SGD(parameters, lr=1.0, fused=True)
    loss = 3.0 * parameters[0].sum() + 4.0 * parameters[1].sum()
    numerics.backward(loss)
    numerics.step(sgd, parameters, clip=0.5)
    moved = torch.cat([parameter.detach() for parameter in parameters])
    assert moved.norm().item() == pytest.approx(0.5, rel=1e-4)
    assert moved[4:].eq(0).all()


def test_fp16_skips_a_step_halves_the_scale_and_says_so() -> None:
    numerics = Numerics("fp16", torch.device("cpu"))
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = adamw([parameter], SPEC)
    before = numerics.scale()
    assert before is not None
    numerics.backward(parameter.sum() * torch.tensor(math.inf))
    norm = numerics.step(optimizer, [parameter], 1.0)
    after = numerics.scale()
    assert after is not None
    assert not math.isfinite(norm.item())
    assert after.item() == before.item() / 2
    assert torch.equal(parameter, torch.ones(2, 2))


def test_the_scaler_comes_back_as_it_was() -> None:
    one, other = (Numerics("fp16", torch.device("cpu")) for _ in range(2))
    parameter = nn.Parameter(torch.ones(2, 2))
    one.backward(parameter.sum() * torch.tensor(math.inf))
    one.step(adamw([parameter], SPEC), [parameter], 1.0)
    other.restore(one.state())
    assert other.state() == one.state()
    assert Numerics("fp32", torch.device("cpu")).state() == {}


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_the_forward_runs_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    numerics = Numerics(precision, torch.device("cpu"))  # type: ignore[arg-type]
    with numerics.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_its_updates_and_its_state_are_those_of_torchs_own_adamw() -> None:
    """Bit by bit, half of the steps after each has taken over the other's state."""
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3)) for _ in range(2))
    mine = adamw([ours], SPEC)
    plain = torch.optim.AdamW([{**group, "params": [theirs] * len(group["params"])} for group in mine.param_groups])
    for number in range(6):
        ours.grad = torch.full((2, 3), 0.1 * number - 0.2)
        theirs.grad = ours.grad.clone()
        mine.step()
        plain.step()
        if number == 2:
            held = mine.state_dict()
            mine.load_state_dict(plain.state_dict())
            plain.load_state_dict(held)
    assert torch.equal(ours, theirs)
    assert mine.state[ours]["step"].item() == plain.state[theirs]["step"].item() == 6
    mine.zero_grad(set_to_none=True)
    assert ours.grad is None
