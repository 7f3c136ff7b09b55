"""The first questions of `learn_from`: the same as without it, in another order, and fewer when another study helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pld_search.search.observed_runs import Observed
from pld_search.search.optuna.gp_sampler import ENOUGH
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.storage import open_storage, open_study
from pld_search.spaces.flat_space import FlatSpace, key_of
from tests.search.optuna.test_gp_sampler import TREE, loss, searched

SPACE = FlatSpace(TREE)
KNOWN = [SPACE.params_at(positions) for positions in np.random.default_rng(3).random((25, len(SPACE)))]


def other_study(sign: float, study: int = 1) -> Observed:
    """Twenty-five values in another unit; with `sign` -1 what is best here was worst there."""
    values = np.array([40 + 9 * sign * loss(params) for params in KNOWN])
    return Observed(SPACE.encoded(KNOWN), values, np.ones(25), -100 - np.arange(25), np.full(25, study))


def asked_with(folder: Path, borrowed: Observed | None, given: Any = (), count: int = 7) -> list[dict[str, Any]]:
    folder.mkdir()
    opened = open_study(open_storage(folder), "s", "id-1", ("minimize",))
    study = OptunaStudy(opened, "gp", 0, starts=5, given=given, borrowed=borrowed)
    return [dict(each.params) for each in searched(study, TREE, count)]


def test_a_misleading_study_changes_the_order_of_the_starts_only(tmp_path: Path) -> None:
    alone = asked_with(tmp_path / "alone", None)
    misled = asked_with(tmp_path / "misled", other_study(-1.0))
    assert {key_of(params) for params in misled[:5]} == {key_of(params) for params in alone[:5]}
    losses = [loss(params) for params in misled[:5]]
    assert losses[0] == max(losses)
    assert losses[1] == min(losses)
    assert key_of(misled[5]) == key_of(alone[5])  # nothing of the other study is left in the model


def test_a_helpful_study_ends_the_starts_as_soon_as_enough_trials_show_it(tmp_path: Path) -> None:
    alone = asked_with(tmp_path / "alone", None)
    helped = asked_with(tmp_path / "helped", other_study(1.0))
    starts = {key_of(params) for params in alone[:5]}
    assert all(key_of(params) in starts for params in helped[:ENOUGH])
    assert key_of(helped[ENOUGH]) not in starts
    assert loss(helped[ENOUGH]) < min(loss(params) for params in alone[:5])
    losses = [loss(params) for params in helped[:2]]
    assert losses == sorted(losses)


def test_stated_first_questions_stay_first(tmp_path: Path) -> None:
    given = [{"lr": 2e-3, "shape": "flat", "shape.flat.value": 0.9}]
    found = asked_with(tmp_path / "given", other_study(1.0), given, count=1)
    assert found[0]["lr"] == pytest.approx(2e-3)
    assert found[0]["shape"] == "flat"
