"""What the shell is offered, asked as bash asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.cli.completion import schedule_paths, schedules, set_paths, studies, study_files


def offered(place: Path, line: str) -> list[str]:
    """The words after TAB at the end of a line, through the whole program."""
    code = "import sys; sys.argv[0] = 'pld-search'; from pld_search.cli.main import main; main()"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_PLD_SEARCH_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "study.jsonl").touch()
    (tmp_path / "runs" / "timed").mkdir()
    (tmp_path / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_program_answers_the_shell(place: Path) -> None:
    assert offered(place, "pld-search report ti") == ["tiny"]
    assert offered(place, "pld-search run demo --set systems.ra") == ["systems.random.schedule="]


def test_studies_schedules_and_files(place: Path) -> None:
    assert studies("") == ["tiny"]
    assert study_files("prog") == ["progressive-stacking"]
    assert study_files("min") == ["mine.yaml"]
    assert schedules("pld") == ["pld", "pld-deepspeed"]


def test_paths_of_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_paths("optimizer.warm") == ["optimizer.warmup="]
    assert set_paths("machine.slo") == ["machine.slots="]
    assert schedule_paths("temporal.en") == ["temporal.end="]
    monkeypatch.setenv("COMP_WORDS", "pld-search run none.yaml --set systems.")
    assert set_paths("systems.") == []
