"""Broken study files: each says exactly what is wrong, where, and exits as a configuration problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.errors import ConfigError
from pld_search.spaces.load_study import load_study
from tests.spaces.broken import CASES, GOOD, Broken


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_problem_at_its_place(case: Broken, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(case.text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_study(file)
    said = tuple(
        str(problem).replace(f"{file}:", "", 1).replace(str(tmp_path), "{folder}") for problem in caught.value.problems
    )
    assert said == case.said
    assert caught.value.exit_code == 2
    assert all(problem.mark is not None and problem.mark.file == str(file) for problem in caught.value.problems)


def test_the_good_file_is_good_and_there_are_many_bad_ones(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(GOOD, encoding="utf-8")
    assert load_study(tmp_path / "study.yaml").name == "good"
    assert len({case.name for case in CASES}) == len(CASES) >= 30


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: x\nabout: caf\xe9\n")
    (tmp_path / "zero.yaml").write_bytes(b"name: x\nabout: \x00\n")
    with pytest.raises(ConfigError, match=r"latin.yaml:2:11: the file is not UTF-8 text"):
        load_study(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match=r"zero.yaml:2:8: a character that YAML does not allow; given: U\+0000"):
        load_study(tmp_path / "zero.yaml")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_study(tmp_path / "nothing.yaml")
    with pytest.raises(ConfigError, match="did you mean demo"):
        load_study("demp")
