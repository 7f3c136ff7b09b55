"""The doors of the search: a sampler and a tracker are added without touching a file of the package."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from pld_search.records.study_events import StudyCreated, StudyEvent
from pld_search.records.study_record import view
from pld_search.search.ledger import Ledger
from pld_search.search.optuna.backend import OptunaBackend
from pld_search.search.optuna.make_sampler import SamplerRequest
from pld_search.search.optuna.samplers import open_samplers
from pld_search.tracking.mlflow_mirror import Mirror
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

    def sampler(self, request: SamplerRequest) -> optuna.samplers.BaseSampler:
        return Centred(request.seed)


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


def test_auto_learns_from_systems_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    more = "systems: {pld: {schedule: pld, optimizer.lr: 3e-3}}\nsearch: {trials: TRIALS, seed: 0}\n"
    asked = {}
    for name, counts in (("straight", (8,)), ("continued", (6, 8))):
        for count in counts:
            study = small_study(tmp_path, more.replace("TRIALS", str(count)))
            assert run(study, tmp_path / name, slots=1, launcher=InProcess(), poll=0) == 0
        found = view(tmp_path / name).study
        assert found.created is not None
        assert found.created.starts == 5
        asked[name] = [trial.asked.params for trial in found.trials.values() if trial.kind == "sampled"]
    assert asked["straight"] == asked["continued"]
    assert len({params["optimizer.lr"] for params in asked["straight"]}) == 8


def test_a_system_is_an_observation_where_the_space_holds_it(tmp_path: Path) -> None:
    more = """
systems: {inside: {schedule: pld, optimizer.lr: 3e-3}, outside: {schedule: full, optimizer.lr: 3e-3}}
search: {trials: 1, seed: 0}
"""
    study, folder = small_study(tmp_path, more), tmp_path / "small"
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    with closing(Ledger(folder)) as ledger, closing(open_samplers(study, ledger, None)) as samplers:
        observed = samplers.observed(None, study.experiment)
        row = ledger.study.trials[0]
    assert row.told is not None
    assert row.told.values is not None
    assert [(each.params, each.value) for each in observed] == [({"optimizer.lr": 3e-3}, row.told.values[0])]


def test_a_study_of_an_earlier_version_keeps_its_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Ledger.write

    def as_before(ledger: Ledger, event: StudyEvent) -> None:
        write(ledger, replace(event, starts=None) if isinstance(event, StudyCreated) else event)

    asked = {}
    explicit = "search: {sampler: tpe, trials: TRIALS, seed: 0}\n"
    monkeypatch.setattr(Ledger, "write", as_before)
    for name, second in (("named", explicit), ("open", explicit.replace("sampler: tpe, ", ""))):
        for text, count in ((explicit, 2), (second, 4)):
            study = small_study(tmp_path, text.replace("TRIALS", str(count)))
            assert run(study, tmp_path / name, slots=1, launcher=InProcess(), poll=0) == 0
        asked[name] = [trial.asked.params for trial in view(tmp_path / name).study.trials.values()]
    assert asked["named"] == asked["open"]
