"""The README's own commands, on its own example, at the reduced budget its environment variable gives."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from pld_search.schedules.library import path_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ENTER = ". .venv/bin/activate"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """Every pld-search line of the README's shell blocks, as words; without `demo`, which trains for minutes."""
    lines = [line.split("#")[0].split() for block in blocks("sh") for line in block.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["pld-search"] and words[1:] != ["demo"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    study = next(block for block in blocks("yaml") if block.startswith("# floor.yaml"))
    (folder / "floor.yaml").write_text(study)
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PLD_SEARCH_STEPS": "6", "NO_COLOR": "1"}


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a user types it: `make test` runs these tests, and an outer make would speak through its variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words], cwd=ROOT, env={**own, **environment}, capture_output=True, text=True, check=False
    )


def run(place: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pld_search", *words],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_make_targets_are_the_readmes() -> None:
    wanted = re.findall(r"^make (\w+)|`make (\w+)`", README, flags=re.MULTILINE)
    assert [block or text for block, text in wanted] == ["demo", "test"]
    for target, command in (("demo", "pld-search demo"), ("test", "pytest")):
        assert command in make("--dry-run", target).stdout


def test_every_command_finds_its_program() -> None:
    """In the order of the page `pld-search` comes after a line that puts it on the PATH."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    assert lines[:2] == ["make demo", ENTER]
    assert lines[2:6] == ["python3 -m venv .venv", ENTER, "pip install .", "pld-search demo"]
    assert all(line.startswith("pld-search ") for line in lines[6:])


def test_make_prints_how_to_enter_the_environment() -> None:
    printed = make("--dry-run", "demo").stdout.splitlines()
    assert printed[-2:] == [".venv/bin/pld-search demo", f"echo 'For pld-search in your shell: {ENTER}'"]


@pytest.mark.parametrize("fits", ["python3.12", "python3"])
def test_make_finds_a_python_that_is_new_enough(tmp_path: Path, fits: str) -> None:
    """Among programs that fail, as those of an old Python do, the first that fits is taken."""
    for name in ("python3.11", "python3.12", "python3.13", "python3"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\nexit {0 if name == fits else 1}\n")
        program.chmod(0o755)
    printed = make("--dry-run", "--always-make", "install", PATH=f"{tmp_path}:/usr/bin:/bin").stdout
    assert f"\n{fits} -m venv .venv\n" in printed


def test_make_says_what_it_needs(tmp_path: Path) -> None:
    done = make("--always-make", "VENV=" + str(tmp_path / "venv"), "PYTHON=false", "install")
    assert done.returncode != 0 and not (tmp_path / "venv").exists()
    assert done.stdout == "This needs Python 3.11 or newer with its venv module: make PYTHON=/path/to/python3\n"


def test_no_page_and_no_message_installs_from_an_index() -> None:
    """`pip install pld-search` finds nothing, with or without extras: no index has it."""
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "pld_search").rglob("*.py")]
    assert len(texts) > 200
    found = [path.name for path in texts if re.search(r"pip install [^\n`]*pld[-_]search(?!-\*)", path.read_text())]
    assert found == []


def test_the_schedule_shown_is_the_librarys() -> None:
    shown = yaml.safe_load(next(block for block in blocks("yaml") if block.startswith("name: pld")))
    shipped = yaml.safe_load(path_of("pld").read_text())
    assert shown == {key: value for key, value in shipped.items() if key not in ("about", "source")}


def test_the_three_lines_are_those_of_the_page_that_runs() -> None:
    (shown,) = blocks("python")
    lines = [line.strip() for line in shown.splitlines()]
    page = [line.strip() for line in (ROOT / "docs" / "attach.md").read_text().splitlines()]
    assert len(lines) == 3
    assert all(line in page for line in lines)


@pytest.mark.timeout(600)
def test_the_example_from_plan_to_report(place: Path) -> None:
    wanted = [words[0] for words in commands()]
    assert wanted == ["schedule", "plan", "run", "report", "ui"]
    for words in commands():
        if words[0] != "ui":
            assert run(place, *words)
    rows = json.loads(run(place, "report", "floor", "--json"))
    assert len(rows) == 3 * 3 + 2
    assert {row["state"] for row in rows} == {"finished"}
    assert all(row["valid/loss"] < 10 and "demo/average" in row for row in rows)
    assert all(
        (place / "runs" / "floor" / name).stat().st_size for name in ("report.html", "report.csv", "report.json")
    )


@pytest.mark.timeout(300)
def test_the_ui_opens(place: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pld_search", "ui", "floor", "--port", str(port)]
    with (place / "ui.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=place, env=environment(), stdout=log, stderr=log, start_new_session=True)
    try:
        assert answers(f"http://127.0.0.1:{port}/health", server), (place / "ui.log").read_text()
    finally:
        server.terminate()  # it ends MLflow's processes, which a kill would leave behind
        server.wait()


def answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    for _ in range(400):
        if server.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                return bool(reply.read() == b"OK")
        except OSError:
            time.sleep(0.5)
    return False
