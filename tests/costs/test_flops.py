"""FLOPs of a step against counts by hand and against the shapes of every matrix product."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.flops import step_flops
from pld_search.specs.experiment import Batch, Data, Masking, Model
from tests.costs.examples import BATCH, DATA, MODEL

TINY = Model(layers=3, hidden=4, heads=2, intermediate=6, vocabulary=10)
NOWHERE = "sha256:" + "0" * 64


def _data(length: int, rate: float = 0.15) -> Data:
    return Data(corpus=NOWHERE, tokenizer=NOWHERE, length=length, masking=Masking(rate=rate))


def test_a_tiny_block_by_hand() -> None:
    """2 sequences of 8 positions, width 4, two heads of 2, feed-forward 6, one predicted position a sequence."""
    flops = step_flops(TINY, _data(8), Batch(sequences=2))
    projections = 4 * (2 * 16 * 4 * 4)  # q, k, v and output: (16, 4) x (4, 4)
    scores = 2 * 2 * (2 * 8 * 8 * 2)  # sequences x heads x (8, 2) x (2, 8)
    weighted = 2 * 2 * (2 * 8 * 2 * 8)
    assert (projections, scores, weighted) == (2048, 1024, 1024)
    assert flops.attention == 3 * 4096
    assert flops.feed_forward == 3 * (768 + 768)  # (16, 4) x (4, 6) and back
    assert flops.head == 3 * (2 * 2 * 4 * 4 + 2 * 2 * 4 * 64)  # transform, then 10 tokens padded to 64
    assert flops.rest == 0
    assert flops.block == 16896
    assert flops.fixed == 3264


@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(8, 64),
    st.integers(1, 16),
    st.integers(1, 300),
    st.integers(1, 200),
)
def test_a_sum_over_all_products(
    sequences: int, heads: int, length: int, per_head: int, intermediate: int, vocabulary: int
) -> None:
    hidden, data = heads * per_head, _data(length)
    model = Model(layers=2, hidden=hidden, heads=heads, intermediate=intermediate, vocabulary=vocabulary)
    flops, tokens, padded = (
        step_flops(model, data, Batch(sequences=sequences)),
        sequences * length,
        -(-vocabulary // 64) * 64,
    )
    products = [(tokens, hidden, hidden)] * 4 + [(length, per_head, length), (length, length, per_head)] * (
        sequences * heads
    )
    assert flops.attention == 3 * sum(2 * m * n * k for m, n, k in products)
    assert flops.feed_forward == 3 * 2 * (2 * tokens * hidden * intermediate)
    predicted = sequences * data.predictions(data.final_length)
    assert flops.head == 3 * (2 * predicted * hidden * hidden + 2 * predicted * hidden * padded)


def test_groups_do_not_change_the_cost_of_a_block() -> None:
    assert step_flops(MODEL, DATA, Batch(sequences=16, groups=4)) == step_flops(MODEL, DATA, BATCH)


@pytest.mark.parametrize(
    ("length", "rate", "predictions"),
    [(128, 0.15, 19), (32, 0.15, 5), (10, 0.15, 2), (30, 0.15, 5), (8, 0.01, 1), (8, 0.0, 1), (8, 1.0, 8)],
)
def test_predictions_round_half_up_and_are_at_least_one(length: int, rate: float, predictions: int) -> None:
    assert _data(length, rate).predictions(length) == predictions


@pytest.mark.parametrize(("vocabulary", "padded"), [(1, 64), (64, 64), (65, 128), (30522, 30528)])
def test_the_padded_vocabulary(vocabulary: int, padded: int) -> None:
    assert MODEL.model_copy(update={"vocabulary": vocabulary}).padded_vocabulary == padded
