from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

import pld_search
from pld_search.report.write_report import write_report
from tests.report.studies import demo_like


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_like(tmp_path_factory.mktemp("runs") / "demo")


def test_a_frame_has_a_line_a_run_with_what_it_trains(folder: Path) -> None:
    frame = pld_search.results(folder).to_frame()
    assert list(frame["label"]) == ["full", "full", "pld", "shallow", "random", "tuned (tuning 4)", "tuned"] + [
        f"trial {number}" for number in (6, 7, 8)
    ]
    assert list(frame["seed_index"])[:3] == [0, 1, 0]
    assert list(frame["model/layers"])[:4] == [6, 6, 6, 4]
    assert frame["schedule/temporal.end"][2] == 0.5
    assert math.isnan(frame["schedule/temporal.end"][0])
    assert frame["param/schedule.falling.temporal.end"][7] == 0.4
    assert frame["verdict"][2] == "undecided"
    assert frame["valid/loss"][0] == 5.44


def test_the_csv_has_the_same_columns_and_lines(folder: Path) -> None:
    write_report(folder)
    frame = pld_search.results(folder).to_frame()
    with (folder / "report.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(frame.columns)
    assert [line["label"] for line in lines] == list(frame["label"])
    assert lines[2]["param/schedule"] == ""
    assert lines[7]["param/schedule"] == "falling"


def test_means_are_those_of_the_comparison(folder: Path) -> None:
    found = pld_search.results(folder)
    frame = found.to_frame(means=True).set_index("label")
    assert list(frame.index) == [row.label for row in found.comparison]
    assert frame.loc["full", "valid/loss"] == pytest.approx(5.45)
    assert frame.loc["full", "sd/valid/loss"] == pytest.approx(0.02 / 2**0.5)
    assert frame.loc["pld", "difference/valid/loss"] == pytest.approx(-0.05)
    assert math.isnan(frame.loc["random", "valid/loss"])


def test_curves_have_a_line_a_run_and_step(folder: Path) -> None:
    frame = pld_search.results(folder).curves("valid/loss", "train/loss")
    assert list(frame.columns) == [
        *("label", "trial", "seed_index", "step", "tflop"),
        *("valid/loss", "train/loss"),
    ]
    own = frame[(frame["label"] == "full") & (frame["seed_index"] == 1)]
    assert list(own["step"]) == [40 * tenth for tenth in range(1, 11)]
    assert own["valid/loss"].iloc[-1] == pytest.approx(5.46)
    assert own["tflop"].is_monotonic_increasing
    assert list(pld_search.results(folder).curves().columns)[-1] == "valid/loss"


def test_what_a_console_and_a_notebook_show_is_short(folder: Path) -> None:
    found = pld_search.results(folder)
    assert repr(found) == f"<results of demo: complete, 10 runs; best valid/loss: trial 7, 5.380; {folder}>"
    assert repr(found.comparison[1]) == "<row pld: 1 of 1 runs finished, valid/loss 5.39, test/loss 5.44>"
    assert max(map(len, map(repr, (found.records, found.records.study, found.records.runs[0, 0])))) < 100
    assert len(repr(found.records.study.trials[0])) < 100
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + len(found.comparison)
    assert "falling, end=0.8" in html
    assert len(html) < 5000
