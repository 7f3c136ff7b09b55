"""docs/tutorial.md as one session: its Python in one process, its commands where they stand, what it prints
as it says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(
    r"^```(python|sh|text)\n(.*?)^```", (ROOT / "docs" / "tutorial.md").read_text(), flags=re.DOTALL | re.MULTILINE
)
MARK = "=== block "
PRELUDE = """
import shlex, subprocess, sys
def _shell(line):
    words = shlex.split(line)
    assert words[0] == "pld-search", line
    subprocess.run([sys.executable, "-m", "pld_search", *words[1:]], check=True, stdout=sys.stderr)
"""


def script() -> str:
    """The session; a line of its own before each block."""
    parts = [PRELUDE]
    for number, (language, code) in enumerate(BLOCKS):
        if language != "text":
            body = code if language == "python" else "".join(f"_shell({line!r})\n" for line in code.splitlines())
            parts.append(f"print({MARK + str(number)!r}, flush=True)\n{body}")
    return "\n".join(parts)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, str]]:
    """The folder it ran in, and what each block printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "session.py").write_text(script())
    outside = ("OPTUNA_STORAGE", "MLFLOW_TRACKING_URI", "PLD_SEARCH_STEPS")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    environment |= {"NO_COLOR": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "session.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = re.split(rf"^{MARK}(\d+)\n", done.stdout, flags=re.MULTILINE)[1:]
    return folder, {int(number): text for number, text in zip(printed[::2], printed[1::2], strict=True)}


def test_what_it_prints_is_what_the_page_shows(session: tuple[Path, dict[int, str]]) -> None:
    _, printed = session
    shown = [number for number, (language, _) in enumerate(BLOCKS) if language == "text"]
    assert len(shown) == 6
    assert {number: printed[number - 1] for number in shown} == {number: BLOCKS[number][1] for number in shown}


def test_it_leaves_what_it_names(session: tuple[Path, dict[int, str]]) -> None:
    folder, printed = session
    assert all(
        (folder / name).stat().st_size
        for name in ("schedules.png", "mine.yaml", "runs/mine/report.html", "runs/mlflow.db")
    )
    assert re.fullmatch(r"\d\.\d{3} and \d\.\d{3} nats: better\n", printed[max(printed)])
