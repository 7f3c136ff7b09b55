"""Forecast against measured: which runs are set side by side, and what a reader sees."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from pld_search.cli.output import console
from pld_search.records.study_events import ProfileRecorded
from pld_search.records.study_record import StudyView, view
from pld_search.report.forecast_table import Compared, body, lines
from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts
from pld_search.report.run_frame import columns
from pld_search.report.run_rows import FORECAST, rows
from pld_search.report.terminal import show
from pld_search.spaces.resolve import forecast_metrics
from tests.costs.profiles import profile
from tests.report.studies import FULL, PLD, Folder, experiment


def study(path: Path, *, measured: bool) -> StudyView:
    """Full depth finished, pld finished, a third that diverged; forecasts with a made-up profile where `measured`."""
    folder = Folder(path, systems=["full", "pld", "bad"], reference="full")
    known: Any = (
        profile(seconds_fixed=0.01, seconds_attention=0.01, seconds_feed_forward=0.005, seconds_update=0.0)
        if measured
        else None
    )
    if known is not None:
        folder.study.write(ProfileRecorded(architecture=known.architecture, profile=known.model_dump(mode="json")))
    for name, drops, end in (("full", FULL, "finished"), ("pld", PLD, "finished"), ("bad", PLD, "diverged")):
        what = experiment(drops)
        trial = folder.ask(what, name, forecast=forecast_metrics(what, known))
        folder.run(trial, what, 5.4, end=end, drop__layers_kept=4.5)
    return view(folder.complete())


def printed(seen: StudyView) -> str:
    out = io.StringIO()
    show(seen, console(out), forecasts=True)
    return out.getvalue()


def test_finished_runs_against_their_forecast(tmp_path: Path) -> None:
    found = lines(rows(study(tmp_path / "a", measured=True)))
    assert [line.label for line in found] == ["full", "pld"]
    full = found[0]
    assert full.seconds.expected == pytest.approx(400 * (0.01 + 6 * 0.015))
    assert full.seconds.measured == 41.5
    assert full.seconds.ratio == pytest.approx(41.5 / 40.0)
    assert full.tflop.ratio == pytest.approx(1.0)
    assert found[1].layers == Compared(pytest.approx(4.37, abs=0.2), 4.5)


def test_what_is_not_known_has_no_ratio() -> None:
    assert Compared(None, 3.0).ratio is None
    assert Compared(3.0, None).ratio is None
    assert Compared(2.0, 3.0).ratio == 1.5


def test_the_columns_of_csv_and_json(tmp_path: Path) -> None:
    table = rows(study(tmp_path / "a", measured=True))
    assert set(FORECAST) <= set(columns(table))
    assert "forecast/seconds" not in columns(rows(study(tmp_path / "b", measured=False)))


def test_page_and_terminal_say_by_which_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    seen = study(tmp_path / "a", measured=True)
    html, text = page(PageFacts.of(seen)), " ".join(printed(seen).split())
    for shown in (html, text):
        assert "Forecast against measured" in shown
        assert "by cpu (a test, 2 cores), 1 thread, measured 2026-03-01 12:30." in shown
    assert "full seed 0" in text
    blind = " ".join(printed(study(tmp_path / "b", measured=False)).split())
    assert "none was made: `pld-search plan STUDY --calibrate`" in blind


def test_nothing_to_compare_is_no_section(demo: Path) -> None:
    seen = view(demo)
    assert body(PageFacts.of(seen)) is None
    assert "Forecast against measured" not in printed(seen)


def test_the_terminal_table_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = printed(study(tmp_path / "a", measured=True))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
