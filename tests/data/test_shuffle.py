from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.data.shuffle import order

SEEDS = st.integers(0, 2**40)


@given(n=st.integers(1, 3000), seed=SEEDS, epoch=st.integers(0, 2**40))
def test_every_index_comes_exactly_once(n: int, seed: int, epoch: int) -> None:
    assert np.array_equal(np.sort(order(seed, epoch, np.arange(n), n)), np.arange(n))


@given(n=st.integers(1, 2**60), seed=SEEDS, data=st.data())
def test_a_position_does_not_depend_on_what_else_is_asked(n: int, seed: int, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20))
    together = order(seed, 3, positions, n)
    assert [int(order(seed, 3, position, n)) for position in positions] == together.tolist()
    assert ((together >= 0) & (together < n)).all()
    assert len(set(together.tolist())) == len(set(positions))


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    n = 1000
    orders = [order(seed, epoch, np.arange(n), n) for seed in (0, 1) for epoch in (0, 1)]
    matches = [int((a == b).sum()) for i, a in enumerate(orders) for b in orders[:i]]
    assert len(matches) == 6
    assert max(matches) < 10  # 1 is expected of independent orders


def test_an_order_is_well_mixed() -> None:
    n = 20_000
    drawn = order(7, 0, np.arange(n), n)
    assert abs(np.corrcoef(np.arange(n), drawn)[0, 1]) < 4 / n**0.5
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / n**0.5


def test_small_splits_reach_every_order() -> None:
    seen = {tuple(order(seed, 0, np.arange(3), 3).tolist()) for seed in range(200)}
    assert len(seen) == 6


def test_the_order_is_settled_for_good() -> None:
    assert order(0, 0, np.arange(10), 10).tolist() == [4, 2, 1, 8, 7, 3, 9, 6, 5, 0]


@pytest.mark.parametrize(("positions", "n"), [([0], 0), ([-1], 5), ([5], 5), ([0], 2**60 + 1)])
def test_positions_outside_are_refused(positions: list[int], n: int) -> None:
    with pytest.raises(ValueError, match=r"sequences has no order|positions of an epoch lie in"):
        order(0, 0, positions, n)
