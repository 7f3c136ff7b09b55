"""How long a branch is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.branch_steps import branch_end
from pld_search.errors import ConfigError
from pld_search.specs.experiment import Optimizer

WSD = Optimizer(lr=1e-3, shape="wsd", decay="20 %")


@pytest.mark.parametrize(
    ("decay", "at", "end"),
    [
        ("20 %", 500, 600),
        ("20 %", 900, 1000),
        ("20 %", 2, 3),
        ("0 %", 500, 501),
        ("200 steps", 500, 600),
        ("2.5 %", 100, 103),
        ("100 %", 400, 800),
    ],
)
def test_decay_times_the_steps_spent(decay: str, at: int, end: int) -> None:
    assert branch_end(WSD.model_copy(update={"decay": decay}), at, 1000) == end


@given(total=st.integers(2, 10_000), share=st.floats(0, 1), decay=st.integers(0, 100))
def test_it_has_a_step_and_ends_inside_the_run(total: int, share: float, decay: int) -> None:
    at = 1 + int(share * (total - 2))
    assert at < branch_end(WSD.model_copy(update={"decay": f"{decay} %"}), at, total) <= total


def test_what_cannot_be_branched_is_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        branch_end(Optimizer(lr=1e-3), 100, 100)
    assert [str(problem) for problem in caught.value.problems] == [
        "optimizer.shape: a branch decays a learning rate that has not decayed yet; allowed: wsd; given: linear",
        "branch: a branch leaves a run inside it; allowed: 1 .. 99 steps; given: 100",
    ]
