"""The learning rate of a step, as a table of (shape, step, expected)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup

from pld_search.errors import ConfigError
from pld_search.specs.experiment import Optimizer
from pld_search.training.learning_rate import BranchRate, learning_rate

LINEAR = Optimizer(lr=1.0, shape="linear", warmup="10 %")
WSD = Optimizer(lr=1.0, shape="wsd", warmup="10 %", decay="20 %")
COSINE = Optimizer(lr=1.0, shape="cosine", warmup="10 %")
EXPONENTIAL = Optimizer(lr=1.0, shape="exponential", rate=0.99, warmup="10 %")
NONE = Optimizer(lr=1.0, shape="linear", warmup="0 %")


@pytest.mark.parametrize(
    ("optimizer", "step", "expected"),
    [
        (LINEAR, 0, 1 / 10),
        (LINEAR, 4, 5 / 10),
        (LINEAR, 9, 1.0),
        (LINEAR, 10, 1.0),
        (LINEAR, 55, 45 / 90),
        (LINEAR, 99, 1 / 90),
        (LINEAR, 100, 0.0),
        (WSD, 0, 1 / 10),
        (WSD, 9, 1.0),
        (WSD, 10, 1.0),
        (WSD, 79, 1.0),
        (WSD, 80, 1.0),
        (WSD, 81, 19 / 20),
        (WSD, 99, 1 / 20),
        (WSD, 100, 0.0),
        (COSINE, 4, 5 / 10),
        (COSINE, 10, 1.0),
        (COSINE, 40, 0.75),
        (COSINE, 55, 0.5),
        (COSINE, 70, 0.25),
        (COSINE, 100, 0.0),
        (EXPONENTIAL, 4, 5 / 10),
        (EXPONENTIAL, 10, 1.0),
        (EXPONENTIAL, 60, 0.99**0.05),
        (EXPONENTIAL, 100, 0.99**0.09),
        (NONE, 0, 1.0),
        (NONE, 50, 0.5),
        (NONE, 100, 0.0),
    ],
)
def test_table_of_a_run_of_100_steps(optimizer: Optimizer, step: int, expected: float) -> None:
    assert learning_rate(optimizer, 100).at(step) == pytest.approx(expected, rel=1e-12, abs=0)


def test_warmup_in_steps_and_the_peak_itself() -> None:
    rate = learning_rate(Optimizer(lr=3e-3, warmup="4 steps"), 10)
    assert [rate.at(step) for step in range(5)] == pytest.approx(
        [3e-3 * share for share in (0.25, 0.5, 0.75, 1.0, 1.0)]
    )


def test_a_run_that_is_all_warmup_still_ends_at_zero() -> None:
    rate = learning_rate(Optimizer(lr=1.0, warmup="100 %"), 4)
    assert [rate.at(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 0.0]


@pytest.mark.parametrize(
    "optimizer", [Optimizer(lr=1.0, warmup="11 steps"), Optimizer(lr=1.0, shape="wsd", warmup="50 %", decay="60 %")]
)
def test_a_warmup_and_decay_longer_than_the_run_are_refused(optimizer: Optimizer) -> None:
    with pytest.raises(ConfigError, match="longer than the run"):
        learning_rate(optimizer, 10)


@given(total=st.integers(1, 5000), warmup=st.integers(0, 50), shape=st.sampled_from(["linear", "wsd", "cosine"]))
def test_positive_up_to_the_peak_before_t_and_zero_at_t(total: int, warmup: int, shape: str) -> None:
    rate = learning_rate(Optimizer(lr=2.0, shape=shape, warmup=f"{warmup} %", decay="50 %"), total)  # type: ignore[arg-type]
    values = [rate.at(step) for step in range(total)]
    assert all(0 < value <= 2.0 for value in values)
    assert rate.at(total) == 0.0
    peak = values.index(max(values))
    assert values[:peak] == sorted(values[:peak])
    assert values[peak:] == sorted(values[peak:], reverse=True)


def test_deepspeeds_rate_at_step_200k() -> None:
    """0.99^((t - warmup) / 1000): 13.9 % of the peak is left, and nothing of T is in it but the warm-up."""
    rate = learning_rate(Optimizer(lr=1e-3, shape="exponential", rate=0.99, warmup="2 %"), 200_000)
    assert rate.at(200_000) / 1e-3 == pytest.approx(0.139, abs=5e-4)
    assert rate.at(4_000) == 1e-3
    assert rate.at(5_000) == pytest.approx(0.99e-3)


def test_the_cosine_is_that_of_transformers_after_the_warmup() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, 10, 100)
    ours = learning_rate(COSINE, 100)
    for step in range(100):
        if step >= 10:
            assert ours.at(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_a_branch_falls_from_the_trunks_rate_to_zero() -> None:
    trunk = learning_rate(WSD, 100)
    branch = BranchRate(trunk, 50, 60)
    assert [branch.at(step) for step in (50, 51, 59, 60)] == pytest.approx([1.0, 0.9, 0.1, 0.0])
    assert BranchRate(trunk, 5, 6).at(5) == trunk.at(5) == 6 / 10
