"""Final losses by documents, for each objective: they add up to the loss that the run states, term by term."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pld_search.specs.pretraining import Electra, Pretraining
from pld_search.training.held_out_losses import combined
from pld_search.training.train_run import train

Builder = Callable[..., Any]
OBJECTIVES: dict[str, Pretraining | None] = {
    "mlm": None,
    "mlm+nsp": Pretraining(kind="mlm+nsp"),
    "electra": Electra.model_validate({"kind": "electra", "weight": 20}),
}


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_blocks_add_up_to_the_loss_of_the_whole_objective(
    experiment: Builder, execution: Builder, tmp_path: Path, name: str
) -> None:
    what = experiment(
        steps=2,
        model={"layers": 2, "hidden": 16, "heads": 2, "intermediate": 32, "positions": "learned"},
        data={"length": 24},
        validation={"sequences": 4, "final": 60},
        pretraining=OBJECTIVES[name],
    )
    record = train(what, execution(), tmp_path)
    for split, metric in (("validation", "valid/loss"), ("test", "test/loss")):
        kept = record.losses[split]
        sums, counts = kept.arrays
        assert 1 < kept.blocks == kept.documents <= 3  # of twelve files
        assert sums.sum() / counts.sum() == pytest.approx(record.final[metric], rel=1e-5)
        assert (sums > 0).all()


def test_terms_are_scaled_to_the_counts_of_the_first_one() -> None:
    first, second = np.array([[6.0, 9.0], [2.0, 4.0]]), np.array([[1.0, 3.0], [5.0, 15.0]])
    sums, counts = combined(np.stack([first, second]), (1.0, 10.0))
    assert counts.tolist() == [2.0, 4.0]
    assert sums.tolist() == [6.0 + 10 * 1.0 * 6 / 20, 9.0 + 10 * 3.0 * 6 / 20]
    assert sums.sum() / counts.sum() == pytest.approx(15 / 6 + 10 * 4 / 20)
    alone, _ = combined(first[None], (1.0,))
    assert np.array_equal(alone, first[0])  # the same bits as without a second term
    empty, _ = combined(np.stack([first, 0 * second]), (1.0, 1.0))
    assert np.isnan(empty).all()
