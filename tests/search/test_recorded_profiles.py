"""A study counts seconds with the profiles it began with: refused without one, recorded with the first, never changed
by a later one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.costs.profile_store import profiles_folder, store_profile
from pld_search.errors import ConfigError
from pld_search.records import jsonl
from pld_search.records.study_record import view
from pld_search.search.recorded_profiles import machine_profiles
from pld_search.search.slots import open_slots
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Study
from pld_search.spaces.trained_architectures import architectures
from pld_search.specs.machine import Machine
from tests.costs.profiles import profile
from tests.search.studies import prepare, run, small_study

TWO = "systems:\n  full: {schedule: full}\n  pld: {schedule: pld}\nreference: full\n"
LIMITED = "search: {sampler: random, trials: 2, constraints: [forecast/seconds <= LIMIT]}\n"


def keys(folder: Path) -> dict[str, Any]:
    return {"cache": str(folder / "cache"), "device": "cpu", "slots": 2, "threads": 1}


def measured(folder: Path, study: Study, **costs: float) -> None:
    """Store a made-up profile of every architecture of the study, as a calibration of this machine would: 1.54 s a full
    step.
    """
    machine = Machine.model_validate(keys(folder))
    setting = machine_profiles(machine, open_slots(machine, {})).setting
    for digest in architectures(Resolver(study, prepare(study))):
        store_profile(profiles_folder(machine.cache), profile(digest, setting, **costs))


def test_refused_then_measured_then_never_changed(tmp_path: Path) -> None:
    folder, study = tmp_path / "small", small_study(tmp_path, TWO, lr="1e-3", sets=["budget.seconds=15.5"])
    with pytest.raises(
        ConfigError, match=r"budget.seconds: this needs a calibration .* `pld-search plan STUDY --calibrate`"
    ) as refused:
        run(study, folder, 2, keys(tmp_path))
    assert refused.value.exit_code == 2
    assert not view(folder).runs
    measured(tmp_path, study)
    assert run(study, folder, 2, keys(tmp_path)) == 0
    steps = {trial.system: trial.asked.steps for trial in view(folder).study.trials.values()}
    assert steps["full"] == 10
    assert 10 < steps["pld"] < 15
    assert all(record.state == "finished" for record in view(folder).runs.values())
    measured(tmp_path, study, seconds_fixed=10.0)
    more = small_study(
        tmp_path,
        TWO.replace("reference", "  again: {schedule: full, optimizer.lr: 2e-3}\nreference"),
        lr="1e-3",
        sets=["budget.seconds=15.5"],
    )
    assert run(more, folder, 2, keys(tmp_path)) == 0
    assert [trial.asked.steps for trial in view(folder).study.trials.values() if trial.system == "again"] == [10]
    assert len([record for record in jsonl.read(folder / "study.jsonl") if record["event"] == "profiled"]) == 1


def test_what_was_forecast_stands_with_the_question(tmp_path: Path) -> None:
    folder, study = tmp_path / "small", small_study(tmp_path, TWO, lr="1e-3")
    measured(tmp_path, study)
    assert run(study, folder, 2, keys(tmp_path)) == 0
    forecasts = {trial.system: trial.asked.forecast for trial in view(folder).study.trials.values()}
    assert forecasts["full"]["forecast/seconds"] == pytest.approx(40 * 1.54)
    assert forecasts["full"]["forecast/memory_gb"] == 2.0
    assert 40 * 1.0 < forecasts["pld"]["forecast/seconds"] < 40 * 1.54


def test_a_limit_on_seconds_is_checked_before_training(tmp_path: Path) -> None:
    search = LIMITED.replace("LIMIT", "50 s")
    folder, study = (
        tmp_path / "small",
        small_study(tmp_path, search, sets=["schedule={choice: {full: {base: full}, pld: {base: pld}}}"]),
    )
    with pytest.raises(ConfigError, match=r"search.constraints: this needs a calibration"):
        run(study, folder, 2, keys(tmp_path))
    measured(tmp_path, study)
    assert run(study, folder, 2, keys(tmp_path)) == 0
    trials = list(view(folder).study.trials.values())
    assert {trial.asked.schedule for trial in trials if trial.rejected is None} == {"pld"}
    for trial in trials:
        assert bool(trial.rejected) == (trial.asked.schedule == "full")
        assert not trial.rejected or "forecast/seconds <= 50 s (it is 61.6)" in trial.rejected.reason


def test_runs_of_several_processes_have_no_profile(tmp_path: Path) -> None:
    one = Machine.model_validate(keys(tmp_path))
    several = one.model_copy(update={"gpus_per_run": 2})
    settings = [machine_profiles(machine, open_slots(machine, {})).setting for machine in (one, several)]
    assert settings[0] != settings[1]
