"""ALiBi: the slopes of the paper, and a bias that is symmetric, also in what a model computes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pld_search.model.alibi import bias, slopes
from pld_search.model.build_model import masked_lm
from tests.model.helpers import inputs, randomise, spec


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (8, [2.0**-i for i in range(1, 9)]),
        (3, [2**-4, 2**-8, 2**-2]),  # the authors' get_slopes for numbers that are no power of two
        (12, [2.0**-i for i in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_slopes_of_the_paper(heads: int, expected: list[float]) -> None:
    assert slopes(heads) == pytest.approx(expected)


@given(st.integers(1, 64))
def test_one_distinct_slope_a_head(heads: int) -> None:
    values = slopes(heads)
    assert len(values) == heads == len(set(values)) and all(0 < value < 1 for value in values)


def test_bias_is_symmetric_and_falls_with_distance() -> None:
    values = bias(3, 7, torch.device("cpu"))
    assert values.shape == (1, 3, 7, 7)
    assert torch.equal(values, values.transpose(-1, -2))
    assert not values.diagonal(dim1=-2, dim2=-1).any()
    assert values[0, 1, 2, 5] == -3 * slopes(3)[1]


def test_no_table_of_positions_and_the_mirror_image() -> None:
    """Without positions but through the symmetric bias, a reversed text gives reversed outputs; learned positions do
    not.
    """
    for positions in ("alibi", "learned"):
        model = masked_lm(spec(positions=positions))
        randomise(model)
        assert any("positions" in name for name, _ in model.named_parameters()) == (positions == "learned")
        ids = inputs()["input_ids"]
        there, back = model(ids).logits, model(ids.flip(1)).logits.flip(1)
        if positions == "alibi":
            assert_close(there, back, rtol=1e-4, atol=1e-4)
            assert not torch.allclose(
                there, model(ids[:, torch.randperm(12, generator=torch.Generator().manual_seed(0))]).logits
            )
        else:
            assert not torch.allclose(there, back, atol=1e-2)


def test_another_length_gets_its_own_bias() -> None:
    model = masked_lm(spec(positions="alibi"))
    ids = inputs()["input_ids"]
    expected = masked_lm(spec(positions="alibi"))(ids[:, :7]).logits
    model(ids)
    assert torch.equal(model(ids[:, :7]).logits, expected)


def test_training_after_inference_mode() -> None:
    model = masked_lm(spec(positions="alibi")).train()
    with torch.inference_mode():
        model(**inputs())
    model(**inputs()).loss.backward()
    assert model.bert.embeddings.words.weight.grad is not None
