"""The README's own commands, on its own example, at the reduced budget its environment variable gives."""

from __future__ import annotations

import json
import os
import re
import signal
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


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """Every pld-search line of the README's shell blocks, as words."""
    lines = [line.split("#")[0].split() for block in blocks("sh") for line in block.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["pld-search"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    study = next(block for block in blocks("yaml") if block.startswith("# floor.yaml"))
    (folder / "floor.yaml").write_text(study)
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PLD_SEARCH_STEPS": "6", "NO_COLOR": "1"}


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
    wanted = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    assert wanted == ["demo", "test"]
    for target, command in (("demo", "pld-search demo"), ("test", "pytest")):
        printed = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert command in printed


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
    assert len(rows) == 3 * 2 + 2
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
        os.killpg(server.pid, signal.SIGKILL)
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
