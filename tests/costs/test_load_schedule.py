"""`load_schedule`: by name, by place, with changes on top."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.schedules.library import names
from pld_search.schedules.schedule import Schedule


@pytest.mark.parametrize("name", names())
def test_every_shipped_schedule(name: str) -> None:
    schedule = load_schedule(name, layers=12, steps=1000)
    assert isinstance(schedule, Schedule)
    assert schedule.name == name


@pytest.mark.parametrize("name", ["random", "td-only"])
def test_an_open_number_needs_the_run(name: str) -> None:
    for run in ({}, {"layers": 12}, {"steps": 100}):
        with pytest.raises(ConfigError, match=r"yaml:\d+:\d+: temporal\..*: state its layers and steps"):
            load_schedule(name, **run)


def test_changes_on_top() -> None:
    changed = load_schedule("pld", sets=["temporal.end=0.7", "rescale=block"])
    base = load_schedule("pld")
    assert changed.rescale == "block"
    assert changed.temporal == base.temporal.model_copy(update={"end": 0.7})
    assert changed.depth == base.depth


def test_a_closed_number_needs_no_run() -> None:
    assert load_schedule("random", sets=["temporal.value=73 %"]).temporal.lowest == 0.73


def test_a_change_of_kind_starts_the_block_afresh() -> None:
    assert load_schedule("td-only", sets=["temporal={kind: constant, value: 0.5}"]).temporal.lowest == 0.5


def test_a_file_with_a_base(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\nname: mine\ntemporal.end: 0.7\n")
    for source in (tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        schedule = load_schedule(source)
        assert schedule.name == "mine"
        assert schedule.temporal == load_schedule("pld", sets=["temporal.end=0.7"]).temporal


def test_a_path_is_a_place_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pld").write_text("base: pld\ntemporal.end: 0.25\n")
    assert load_schedule(Path("pld")).temporal.lowest == 0.25
    assert load_schedule("pld").temporal.lowest == 0.5


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"given: pdl; did you mean pld\?"):
        load_schedule("pdl")


def test_problems_have_their_place(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("base: pld\ntemporal.end: 1.5\ndepth.indx: l/L\n")
    with pytest.raises(ConfigError) as caught:
        load_schedule(tmp_path / "bad.yaml")
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == 2
    assert "bad.yaml:2:15: temporal.end" in lines[0]
    assert "bad.yaml:3:1: depth.indx" in lines[1]


def test_loading_is_light() -> None:
    """No torch, and none of the libraries of the upper rooms, in a fresh process."""
    code = (
        "import sys; from pld_search.costs.load_schedule import load_schedule; load_schedule('random', "
        "layers=12, steps=100)\n"
        "print(sorted({'torch', 'transformers', 'optuna', 'mlflow', 'datasets', 'scipy'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_a_domain_is_sent_to_a_study(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: pld\ntemporal.end: {float: [0.3, 0.9]}\nrescale: {choice: [none, block]}\ndepth.index: x\n")
    with pytest.raises(ConfigError) as caught:
        load_schedule(file, layers=12, steps=1000)
    end, rescale, index = caught.value.problems
    way = (
        "a schedule by itself holds no domains; put it in a study: `schedule: {base: NAME_OR_FILE, temporal.end: "
        "{float: ...}}`"
    )
    assert str(end) == f"{file}:2:15: temporal.end: {way}"
    assert str(rescale).startswith(
        f"{file}:3:10: rescale: a schedule by itself holds no domains"
    ) and "rescale: {choice: ...}" in str(rescale)
    assert index.message == "this word is not allowed here"
