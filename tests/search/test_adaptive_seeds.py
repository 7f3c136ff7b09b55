from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.search.adaptive_seeds import Measured, near_front
from tests.search.fake_trainer import loss_of
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study


def test_means_and_deviations_are_those_of_the_columns() -> None:
    found = Measured.of([[1.0, 5.0], [3.0, 5.0]])
    assert found.values == (2.0, 5.0)
    assert found.sd == (pytest.approx(2**0.5), 0.0)
    assert Measured.of([[1.0]]).sd is None


def test_near_the_front_is_whom_nobody_beats_clearly() -> None:
    best = Measured((1.0,), 2, (0.1,))
    assert near_front(Measured((0.9,), 1, None), [best])
    assert near_front(Measured((1.24,), 1, None), [best])  # 2 x 0.1 x sqrt(1 + 1/2) is 0.245
    assert not near_front(Measured((1.25,), 1, None), [best])
    # better in the other objective
    assert near_front(Measured((1.3, 0.0), 1, None), [Measured((1.0, 0.1), 2, (0.1, 0.0))])
    assert near_front(Measured((9.0,), 1, None), [])


def test_only_trials_near_the_front_get_more_seeds(tmp_path: Path) -> None:
    search = "search: {sampler: random, trials: 8, seed: 3}\nseeds: {min: 1, max: 4}\n"
    launcher = InProcess()
    assert run(small_study(tmp_path, search), tmp_path / "small", slots=1, launcher=launcher, poll=0) == 0
    trials = view(tmp_path / "small").study.trials.values()
    best = min(trials, key=lambda trial: loss_of(trial.asked.params["optimizer.lr"], 0))
    assert len(best.seeds) == 4
    assert min(len(trial.seeds) for trial in trials) == 1
    assert len(launcher.launched) == sum(len(trial.seeds) for trial in trials)
    for trial in trials:
        assert trial.told is not None
        count = len(trial.seeds)
        assert trial.told.values == [pytest.approx(loss_of(trial.asked.params["optimizer.lr"], 0) + (count - 1) / 200)]
        assert (trial.told.sd is None) == (count == 1)
