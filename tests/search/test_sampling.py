"""The doors of the search: a sampler and a tracker are added without touching a file of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from pld_search.records.study_record import view
from pld_search.search.optuna.backend import OptunaBackend
from pld_search.tracking.mirror import Mirror
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

SEARCH = "search: {sampler: random, trials: 3, seed: 0}\n"


class Centred(optuna.samplers.RandomSampler):
    """A sampler that the package does not offer: numbers near the middle of their range."""

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        assert isinstance(param_distribution, FloatDistribution)
        drawn = super().sample_independent(study, trial, param_name, param_distribution)
        return (drawn * param_distribution.low * param_distribution.high) ** (1 / 3)


class Own(OptunaBackend):
    """The shipped backend with that sampler."""

    def sampler(self, kind: str, seed: int) -> optuna.samplers.BaseSampler:
        return Centred(seed)


class Counted(Mirror):
    """A tracker of its own: counts what the mirror would show."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed, self.closed = 0, 0

    def notice(self, folder: Path) -> None:
        self.noticed += view(folder).study.created is not None

    def close(self, folder: Path) -> None:
        self.closed += 1


def test_a_sampler_of_ones_own_is_asked(tmp_path: Path) -> None:
    study, asked = small_study(tmp_path, SEARCH), {}
    for name, backend in (("shipped", None), ("own", Own()), ("again", Own())):
        assert run(study, tmp_path / name, slots=1, launcher=InProcess(), poll=0, backend=backend) == 0
        asked[name] = [trial.asked.params["optimizer.lr"] for trial in view(tmp_path / name).study.trials.values()]
    assert asked["own"] == asked["again"]
    assert asked["own"] == pytest.approx([(1e-6 * each) ** (1 / 3) for each in asked["shipped"]])


def test_a_tracker_of_ones_own_is_told(tmp_path: Path) -> None:
    tracker = Counted()
    study = small_study(tmp_path, "", lr="1e-3")
    assert run(study, tmp_path / "small", slots=1, launcher=InProcess(), poll=0, observers=[tracker]) == 0
    assert tracker.noticed > 0
    assert tracker.closed == 1
