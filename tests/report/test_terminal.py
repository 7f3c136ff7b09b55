from __future__ import annotations

import io
from pathlib import Path

import pytest

from pld_search.cli.output import console
from pld_search.records.study_record import view
from pld_search.report.terminal import show
from tests.report.studies import FULL, Folder, experiment


def printed(folder: Path) -> str:
    out = io.StringIO()
    show(view(folder), console(out))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_every_row_fits_and_no_colour_is_written_where_there_is_no_terminal(
    demo: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = printed(demo)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines
    assert max(len(line) for line in lines) <= width
    for word in (
        "full",
        "pld",
        "shallow",
        "random",
        "tuned",
        "trial 7",
        "reference",
        "undecided",
        "exploratory",
        "5.450",
        "± 0.014",
        "n = 2",
        "equal",
        "not confirmed",
    ):
        assert word in text, word
    assert all(
        "test/" in lines[number]
        for number, line in enumerate(lines)
        if line.startswith("Quality")
        for number in [number + 1]
    )
    assert "0.62 nats below" in " ".join(text.split())
    assert "unigram entropy of 6.00" in " ".join(text.split())
    assert "diverged: 1" in text


def test_what_a_user_wrote_is_printed_as_it_is(tmp_path: Path) -> None:
    study = Folder(tmp_path / "odd", systems=["[bold]x[/]"], reference="[bold]x[/]")
    what = experiment(FULL)
    study.run(study.ask(what, "[bold]x[/]"), what, 5.4)
    assert "[bold]x[/]" in printed(study.complete())


def test_an_empty_study_says_so(tmp_path: Path) -> None:
    study = Folder(tmp_path / "empty")
    study.study.close()
    assert "No trial has been asked for yet." in printed(tmp_path / "empty")
