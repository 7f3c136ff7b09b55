"""The command line of the background, without starting it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evidence import background
from evidence.background import Refused, check_committed, hand_over_designs, keeper_of, lay_out, machine_of, main
from evidence.keeper import run_command
from evidence.places import HOME, RECORDS, Home, name_of, studies
from pld_search.records.packed_records import run_folder


def test_pause_and_resume_leave_and_remove_a_note(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for _ in range(2):
        assert main(["--home", str(tmp_path), "pause"]) == 0
        assert home.paused.exists()
    for _ in range(2):
        assert main(["--home", str(tmp_path), "resume"]) == 0
        assert not home.paused.exists()


def test_status_of_a_home_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path), "status"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "not running"
    assert [line.split(":")[0] for line in said[1:]] == [name_of(study) for study in studies()]
    assert main(["--home", str(tmp_path), "stop"]) == 0


def test_a_process_that_reuses_the_number_is_not_taken_for_the_background(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert keeper_of(home) is None
    home.note.write_text(json.dumps({"pid": os.getpid()}))
    assert keeper_of(home) is None
    home.note.write_text("damaged")
    assert keeper_of(home) is None


def test_designs_are_handed_over_as_they_are(tmp_path: Path) -> None:
    home = Home(tmp_path)
    hand_over_designs(home)
    assert [path.relative_to(home.designs) for path in studies(home.designs)] == [
        path.relative_to(background.DESIGNS) for path in studies()
    ]
    for study in studies(home.designs):
        command = run_command(home, study, 2)
        assert command[:3] == [str(home.program), "run", str(study)] and "seeds=2" in command
        assert Path(command[command.index("--machine") + 1]).is_file()


def test_a_design_that_is_not_committed_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        return background.run("git", "-c", "user.name=x", "-c", "user.email=x@x", *words, folder=tmp_path)

    (tmp_path / "a").mkdir()
    (tmp_path / "a/study.yaml").write_text("name: a\n")
    monkeypatch.setattr(background, "git", git)
    monkeypatch.setattr(background, "DESIGNS", tmp_path)
    monkeypatch.setattr(background, "studies", lambda: studies(tmp_path))
    git("init", "--quiet")
    with pytest.raises(Refused, match=r"commit the designs[^$]*a/"):
        check_committed()
    git("add", ".")
    git("commit", "--quiet", "--message", "designs")
    check_committed()
    (tmp_path / "DESIGN.md").write_text("another analysis\n")
    with pytest.raises(Refused, match=r"DESIGN\.md"):
        check_committed()


def test_packed_records_are_laid_out_where_there_are_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    lay_out(home)
    packed = list(RECORDS.glob("*/trials/*/seed-*"))
    assert packed
    for path in packed:
        study, trial, index = path.parts[-4], int(path.parts[-2]), int(path.name.removeprefix("seed-"))
        assert (run_folder(home.runs / study, trial, index) / "events.jsonl").is_file()


def test_the_home_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "elsewhere"))
    assert Home().folder == tmp_path / "elsewhere"
    monkeypatch.delenv(HOME)
    assert Home().folder == Path("~/.cache/pld-search/evidence").expanduser()


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such thing"):
        background.run(sys.executable, "-c", "raise SystemExit('no such thing')")


def test_what_decides_on_equal_bits_is_asked_of_the_environment_of_the_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    python = home.program.with_name("python")
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho '2.13.0+cpu AVX512'\n")
    python.chmod(0o755)
    assert machine_of(home) == {"torch": "2.13.0+cpu", "instruction_set": "AVX512"}


def test_the_script_stands_beside_the_designs() -> None:
    done = subprocess.run(
        [str(background.DESIGNS / "background"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pause" in done.stdout
