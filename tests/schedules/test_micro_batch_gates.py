"""Gates of a group cut for a micro-batch, and the sequences they let through."""

from __future__ import annotations

import pytest

from pld_search.schedules.micro_batch_gates import executed, of_micro_batch
from pld_search.schedules.plan import AnyGates, Gates, RowGates, SublayerGates

ROWS = RowGates(((0, 3, 4), (1, 2, 5)), (2.0, 1.5), "sublayer")
OTHER = RowGates(((2, 4), (0, 5)), (2.0, 1.5), "sublayer")
WHOLE = Gates((True, False), (2.0, 1.0), "sublayer")
HALVES = SublayerGates(WHOLE, Gates((True, True), (2.0, 1.5), "sublayer"))


def test_a_micro_batch_counts_its_rows_from_zero() -> None:
    assert of_micro_batch(ROWS, 2, 3) == RowGates(((1, 2), (0,)), (2.0, 1.5), "sublayer")
    assert of_micro_batch(ROWS, 0, 6) == ROWS
    assert of_micro_batch(SublayerGates(ROWS, OTHER), 4, 2) == SublayerGates(
        RowGates(((0,), (1,)), (2.0, 1.5), "sublayer"), RowGates(((0,), (1,)), (2.0, 1.5), "sublayer")
    )


@pytest.mark.parametrize("given", [WHOLE, HALVES])
def test_whole_layers_and_halves_are_the_same_in_every_micro_batch(given: AnyGates) -> None:
    assert of_micro_batch(given, 2, 2) == given


def test_executed_adds_up_over_groups_and_layers() -> None:
    assert executed([WHOLE, HALVES], 6) == (12, 18)
    assert executed([ROWS, SublayerGates(ROWS, OTHER)], 6) == (12, 10)
    assert executed([], 6) == (0, 0)
