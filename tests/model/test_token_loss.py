"""The loss that makes no copy of the logits against torch's cross entropy, in each precision, at any share of predicted
positions.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from pld_search.model.build_model import masked_lm
from pld_search.model.token_loss import linear_token_loss
from tests.model.helpers import inputs, randomise, spec


def made(rows: int, width: int, vocabulary: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, weight, bias = (
        torch.randn(shape, generator=generator) for shape in ((rows, width), (vocabulary, width), (vocabulary,))
    )
    labels = torch.randint(-1, vocabulary, (rows,), generator=generator)
    labels[labels < 0] = -100
    labels[0] = 0
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), labels


def reference(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, weight, bias).float(), labels, ignore_index=-100)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), width=st.integers(1, 8), vocabulary=st.integers(1, 40), seed=st.integers(0, 99))
def test_it_is_the_cross_entropy(rows: int, width: int, vocabulary: int, seed: int) -> None:
    *ours, labels = made(rows, width, vocabulary, seed)
    theirs = [one.detach().clone().requires_grad_() for one in ours]
    loss, expected = linear_token_loss(*ours, labels), reference(*theirs, labels)
    assert torch.equal(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_what_the_loss_scale_lifts(dtype: torch.dtype) -> None:
    *ours, labels = made(64, 32, 5000)
    theirs = [one.detach().clone().requires_grad_() for one in ours]
    with torch.autocast("cpu", dtype=dtype):
        loss, expected = linear_token_loss(*ours, labels), reference(*theirs, labels)
    assert loss.dtype == torch.float32 and torch.equal(loss, expected)
    (2.0**16 * loss).backward()
    (2.0**16 * expected).backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad.dtype == torch.float32
        assert_close(mine.grad, other.grad, rtol=2e-2, atol=2.0**16 * 1e-5)


def test_a_logit_of_minus_infinity_takes_no_part() -> None:
    x, weight, bias, labels = made(5, 4, 7)
    labels.clamp_(max=4)
    with torch.no_grad():
        bias[5:], weight[5:] = -torch.inf, 1e6
    linear_token_loss(x, weight, bias, labels).backward()
    assert torch.isfinite(x.grad).all() and not weight.grad[5:].any() and not bias.grad[5:].any()


def test_a_graph_is_walked_once() -> None:
    *ours, labels = made(5, 4, 7)
    loss = linear_token_loss(*ours, labels)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_model_has_the_same_loss_and_gradients_without_logits(norm: str) -> None:
    model, batch = masked_lm(spec(norm=norm)), inputs()
    randomise(model)
    whole = model(**batch)
    whole.loss.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    out = model(**batch, return_logits=False)
    assert out.logits is None and torch.equal(out.loss, whole.loss)
    out.loss.backward()
    assert expected
    for name, parameter in model.named_parameters():
        assert_close(
            parameter.grad, expected[name], rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
