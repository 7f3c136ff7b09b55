from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.app.machine_setup import machine_of, study_sets
from pld_search.errors import ConfigError
from pld_search.search import slots
from tests.cli.conftest import Call


def test_flag_beats_set_beats_file_beats_default(tmp_path: Path) -> None:
    assert machine_of(None).slots is None
    (tmp_path / "machine.yaml").write_text("slots: 2\nthreads: 3\nruns: studies\n")
    found = machine_of(None)
    assert (found.slots, found.threads, Path(found.runs).name) == (2, 3, "studies")
    assert machine_of(None, ["machine.slots=4"]).slots == 4
    assert machine_of(None, ["machine.slots=4"], slots=5).slots == 5
    assert machine_of(None, slots=None).slots == 2


def test_a_named_file_beats_the_one_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "machine.yaml").write_text("slots: 2\n")
    (tmp_path / "other.yaml").write_text("slots: 7\n")
    assert machine_of(tmp_path / "other.yaml").slots == 7
    with pytest.raises(ConfigError, match="no machine file"):
        machine_of(tmp_path / "missing.yaml")


def test_the_environment_names_a_file_and_a_flag_beats_it(
    call: Call, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "away.yaml").write_text("runs: nowhere\n")
    (tmp_path / "here.yaml").write_text("runs: runs\n")
    monkeypatch.setenv("PLD_SEARCH_MACHINE", str(tmp_path / "away.yaml"))
    assert call("best", "small").exit_code == 2
    assert call("best", "small", "--machine", "here.yaml").exit_code == 0
    assert call("best", "small", "--runs", "runs").exit_code == 0


def test_folders_with_spaces_and_signs_survive(tmp_path: Path) -> None:
    odd = tmp_path / "a b: #1"
    assert Path(machine_of(None, runs=odd).runs) == odd


def test_sets_are_told_apart_by_their_first_word() -> None:
    sets = ["machine.slots=1", "optimizer.lr=1e-3"]
    assert machine_of(None, sets) == machine_of(None, slots=1) != machine_of(None)
    assert study_sets(sets) == [text if text == "optimizer.lr=1e-3" else "" for text in sets]


def test_a_bad_machine_file_is_one_line_with_its_place(call: Call, study: Path, tmp_path: Path) -> None:
    (tmp_path / "machine.yaml").write_text("slots: 0\n")
    done = call("best", "small")
    assert done.exit_code == 2
    assert "machine.yaml:1:8: slots" in done.stderr


def test_a_word_that_is_not_allowed_names_its_flag_or_its_set(call: Call, study: Path) -> None:
    flag = call("plan", "demo", "--device", "gpu")
    assert (flag.exit_code, flag.stdout) == (2, "")
    assert flag.stderr.startswith(
        "pld-search: --device: this word is not allowed here; allowed: auto | cpu | cuda; given: gpu"
    )
    given = call("plan", "demo", "--set", "seeds=2", "--set", "machine.device=gpu")
    assert given.stderr.startswith("pld-search: --set:2:16: device: this word is not allowed here")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(slots, "torch_sees_gpus", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("words", "where"),
    [
        ((), "machine.yaml:2:9: device"),
        (("--device", "cuda"), "--device"),
        (("--set", "seeds=1", "--set", "machine.device=cuda"), "--set:2:16: device"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_launched(
    call: Call, tmp_path: Path, words: tuple[str, ...], where: str
) -> None:
    (tmp_path / "machine.yaml").write_text("slots: 1\ndevice: cuda\n")
    for verb in [["run", "demo"], ["plan", "demo", "--calibrate"]]:
        done = call(*verb, *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"pld-search: {where}: no GPU is seen on this machine; allowed: auto | cpu; given: cuda\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_gpu")
def test_a_plan_for_another_machine_says_that_it_is_one(call: Call) -> None:
    done = call("plan", "demo", "--device", "cuda")
    assert done.exit_code == 0
    assert "note: no GPU is seen on this machine: `run` refuses `device: cuda` here" in done.stdout
    assert "no GPU" not in call("plan", "demo", "--device", "cpu").stdout
