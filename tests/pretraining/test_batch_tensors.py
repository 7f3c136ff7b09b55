"""A global batch dealt out to ranks and micro-batches: every sequence once, in its group, with its share of
the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from pld_search.pretraining.batch_tensors import GroupedBatch, MicroBatch, own_numbers
from pld_search.training.parallel.rank_group import Ranks
from pld_search.training.setup import Setup, open_setup

Builder = Callable[..., Any]
STEP = 3


@pytest.fixture
def alone(experiment: Builder, execution: Builder) -> Setup:
    return open_setup(experiment(batch={"sequences": 24, "groups": 2}), execution())


def of_ranks(alone: Setup, ranks: int, micro_batch: int | None) -> list[GroupedBatch]:
    how = alone.execution.model_copy(update={"micro_batch": micro_batch})
    return [replace(alone, execution=how, ranks=Ranks(rank, ranks, rank)).batch_at(STEP) for rank in range(ranks)]


@pytest.mark.parametrize(("ranks", "micro_batch"), [(1, 5), (2, None), (3, 1), (4, 2), (6, 2), (12, None)])
def test_ranks_read_what_one_process_reads(alone: Setup, ranks: int, micro_batch: int | None) -> None:
    whole, parts = alone.batch_at(STEP), of_ranks(alone, ranks, micro_batch)
    for group in range(2):
        (expected,) = whole[group]
        pieces: list[MicroBatch] = [piece for of_rank in parts for piece in of_rank[group]]
        for name in ("input_ids", "positions", "labels"):
            assert torch.equal(torch.cat([piece.tensors[name] for piece in pieces]), expected.tensors[name])
        assert [piece.first for piece in pieces] == [
            sum(len(before.input_ids) for before in pieces[:index]) for index in range(len(pieces))
        ]
        assert sum(piece.shares[0] for piece in pieces) == pytest.approx(expected.shares[0])
    assert sum(piece.shares[0] for of_rank in parts for group in of_rank for piece in group) == pytest.approx(1)


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_rank_masks_its_own_sequences_only(alone: Setup, monkeypatch: pytest.MonkeyPatch, ranks: int) -> None:
    asked: list[Any] = []
    original = type(alone.batches).at
    monkeypatch.setattr(
        type(alone.batches), "at", lambda self, step, own=None: asked.append(own) or original(self, step, own)
    )
    of_ranks(alone, ranks, None)
    assert [len(own) for own in asked] == [24 // ranks] * ranks
    assert sorted(number for own in asked for number in own) == list(range(24))
    assert (
        asked[1].tolist() == own_numbers(alone.experiment.batch.most, alone.experiment.batch.groups, 1, ranks).tolist()
    )
