"""docs/deepspeed.md followed from its first line to running scripts: the config is imported and each script is run as
it stands.
"""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deepspeed.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's config, after the page's first command."""
    folder = tmp_path_factory.mktemp("deepspeed")
    (config,) = blocks("json")
    assert json.loads(config)["progressive_layer_drop"] == {"enabled": True, "theta": 0.5, "gamma": 0.001}
    (folder / "ds_config.json").write_text(config)
    command = blocks("sh")[0].split()
    assert command[:3] == ["pld-search", "schedule", "import"]
    subprocess.run([sys.executable, "-m", "pld_search", *command[1:]], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["client", "attached"])
def test_a_script_of_the_page(
    place: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (script,) = [block for block in blocks("python") if block.startswith(f"# {name}.py")]
    (place / f"{name}.py").write_text(script)
    monkeypatch.chdir(place)
    runpy.run_path(f"{name}.py")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("19 theta 0.99")


def test_every_script_of_the_page_is_run() -> None:
    assert len(blocks("python")) == 2
