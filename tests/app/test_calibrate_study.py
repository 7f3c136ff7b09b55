"""`plan` with and without a calibration, the payback of a search, and the winner as a study; one measurement
is real.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pld_search.app.calibrate_study import calibrate_study
from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_of
from pld_search.app.study_data import assumed
from pld_search.costs.profile_store import profiles_folder, store_profile
from pld_search.errors import ConfigError, StudyError
from pld_search.search.recorded_profiles import machine_profiles
from pld_search.search.slots import open_slots
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.trained_architectures import architectures
from tests.cli.conftest import Call
from tests.costs.profiles import profile

STUDY = """
name: tiny
experiment:
  model: {layers: 2, hidden: 128, heads: 2, positions: alibi}
  data: {train: {text: [./corpus.txt]}, validation: 20 %, test: 20 %, document: paragraph, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
  precision: fp32
  schedule: {base: pld, temporal.end: {float: [0.3, 0.9]}}
budget: {steps: 10, equal: flops}
systems:
  full: {schedule: full}
  pld: {schedule: pld}
reference: full
seeds: 2
search: {sampler: random, trials: 3, seeds: 1}
target: {set: {model.layers: 4, budget.steps: 1000}, runs: 2}
"""
FLAGS = ("--slots", "2", "--threads", "1", "--device", "cpu")
SETS = ("--set", "machine.cache=cache", "--set", "machine.calibration_seconds=0", "--set", "machine.price_per_hour=3.6")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    (tmp_path / "corpus.txt").write_text(
        "\n\n".join(f"the state of the union is strong and paragraph {number} says so again" for number in range(400))
    )
    return tmp_path


def planned(call: Call, *more: str) -> dict[str, Any]:
    done = call("plan", "tiny.yaml", *FLAGS, *SETS, *more, "--json")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


def measured(**costs: float) -> None:
    """Made-up profiles of every architecture, as if this machine had been calibrated: 0.5 + 0.26 L seconds a step."""
    machine = machine_of(None, ["machine.cache=cache"], slots=2, threads=1, device="cpu")
    study, setting = study_of("tiny.yaml", None), machine_profiles(machine, open_slots(machine, {})).setting
    for digest in architectures(Resolver(study, assumed(study))):
        store_profile(profiles_folder(machine.cache), profile(digest, setting, **costs))


def test_a_real_calibration(call: Call, tiny: Path) -> None:
    before = planned(call)
    assert (before["seconds"], before["time_by"], before["profiles"], before["prepared"]) == (None, None, [], False)
    assert before["target"]["full_seconds"] is None
    first = planned(call, "--calibrate")
    assert len(list((tiny / "cache" / "profiles").glob("*.json"))) == 2
    assert first["prepared"]
    assert first["time_by"] == "profiles"
    assert 0 < first["seconds"] <= first["slot_seconds"]
    assert first["memory_gb"] > 0.01
    assert first["target"]["full_seconds"] > 0
    later = planned(call)
    assert (later["seconds"], later["profiles"]) == (first["seconds"], first["profiles"])
    other = call("plan", "tiny.yaml", "--slots", 1, "--threads", 2, "--device", "cpu", *SETS, "--json")
    assert json.loads(other.stdout)["seconds"] is None  # another number of threads was not measured


def test_the_arithmetic_of_a_plan(call: Call, tiny: Path) -> None:
    measured()
    found = planned(call)
    full, pld = found["systems"]
    assert full["seconds"] == pytest.approx(10 * (0.5 + 2 * 0.26))
    assert pld["seconds"] == pytest.approx(pld["steps"] * (0.5 + 0.26 * pld["expected_layers_mean"]))
    each = [row["seconds"] for row in found["search"]["first_batch"]]
    total = 2 * full["seconds"] + pld["seconds"] + 3 * sum(each) / len(each)
    assert found["slot_seconds"] == pytest.approx(total)
    assert total / 2 <= found["seconds"] < total
    assert found["money"] == pytest.approx(total / 1000)
    assert found["disk_gib"] == pytest.approx(6 * 2 * full["checkpoint_bytes"] / 2**30)
    target = found["target"]
    assert target["full_seconds"] == pytest.approx(1000 * (0.5 + 4 * 0.26))
    pld_row = target["candidates"][0]
    assert pld_row["schedule"] == "pld"
    assert pld_row["saved_seconds"] == pytest.approx(target["full_seconds"] - pld_row["seconds"])
    assert pld_row["pays_from_run"] == 1
    assert pld_row["balance_seconds"] == pytest.approx(2 * pld_row["saved_seconds"] - total)
    assert target["candidates"][1]["saved_flops"] >= pld_row["saved_flops"]
    text = call("plan", "tiny.yaml", *FLAGS, *SETS).stdout
    for words in (
        "by a profile of cpu (",
        "target: 4 x 128, 1,000 steps, 2 runs planned",
        "pays back from run 1 on",
        "counts on a schedule needing no more",
    ):
        assert words in text


def test_a_budget_in_seconds(call: Call, tiny: Path) -> None:
    seconds = ("--set", "budget.seconds=10.3")
    refused = call("plan", "tiny.yaml", *FLAGS, *SETS, *seconds)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "budget.seconds: this needs a calibration of the architecture on this machine" in refused.stderr
    assert "`pld-search plan STUDY --calibrate`" in refused.stderr
    measured()
    assert planned(call, *seconds)["systems"][0]["steps"] == 10


def test_a_damaged_profile_says_what_to_do(call: Call, tiny: Path) -> None:
    measured()
    for path in (tiny / "cache" / "profiles").iterdir():
        path.write_text("{}")
    done = call("plan", "tiny.yaml", *FLAGS, *SETS)
    assert done.exit_code != 0
    assert "is no profile of this version" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_measured_is_said(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_of(None, ["machine.cache=cache"], slots=1, threads=1, device="cpu")
    told: list[str] = []
    monkeypatch.setattr("pld_search.app.calibrate_study._measured", lambda *_: "out of memory")
    with pytest.raises(StudyError, match="no architecture could be measured: out of memory"):
        calibrate_study(study_of("tiny.yaml", None), machine, open_slots(machine, {}), told.append)
    assert "not measured: out of memory" in told
    several = machine.model_copy(update={"gpus_per_run": 2})
    with pytest.raises(ConfigError, match="runs of one process"):
        calibrate_study(study_of("tiny.yaml", None), several, open_slots(several, {}), told.append)
