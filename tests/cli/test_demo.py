"""What the demo says to try next can be tried: each line is a command that works on shipped files."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pld_search.cli.demo import NEXT
from pld_search.cli.main import app


def test_what_to_try_next_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A text of some words, again and again.\n\n" * 4000)
    commands = [shlex.split(line.split("   ")[0]) for line in NEXT.splitlines()[1:]]
    assert [words[0] for words in commands] == ["pld-search"] * 3
    for _, *words in commands:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (words, done.output)
    assert all(len(line) <= 80 for line in NEXT.splitlines())
