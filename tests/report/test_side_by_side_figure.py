from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.report import print_style
from pld_search.report.side_by_side_figure import column, save, saved_by, schedules_figure, words_of
from tests.report.studies import PLD


def test_the_saving_so_far_ends_at_the_saving_of_the_run() -> None:
    for name in ("pld", "raptr", "growth-without-sampling"):
        schedule = load_schedule(name)
        saved = saved_by(schedule, np.array([0, 1, 333, 1000]), 1000, 6)
        assert saved[0] == 0.0
        assert np.all(np.diff(saved) >= 0)
        assert saved[-1] == pytest.approx(expect(schedule, 1000, 6).saved_block_flops, abs=1e-9)


def test_a_column_has_the_expectation_and_its_spread() -> None:
    drawn = column("exact", load_schedule("raptr"), 400, 12)
    assert drawn.layers[0] == pytest.approx(6.0, abs=1e-6)
    assert drawn.layers[-1] == pytest.approx(12.0)
    assert drawn.deviation == pytest.approx(np.zeros(len(drawn.progress)), abs=1e-3)
    assert column("pld", PLD, 400, 12).deviation.max() > 1


def test_words_name_the_conventions() -> None:
    assert (
        words_of(load_schedule("raptr")) == "stages × uniform, always first last\nexact per group, layer; rescale none"
    )
    assert "linear (l-1)/L\n" in words_of(load_schedule("pld-deepspeed"))


@pytest.mark.parametrize(("count", "axes"), [(1, 4), (3, 12), (6, 24), (7, 32)])
def test_one_column_a_schedule_in_even_rows(count: int, axes: int) -> None:
    columns = [column(f"{number} of $", PLD, 50, 4) for number in range(count)]
    with print_style.printed():
        figure = schedules_figure(columns, 50, 4)
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert len(panels) == axes
    assert sum(axis.get_ylabel() == "theta" for axis in panels) == -(-count // 4)


def test_a_picture_stands_alone_and_is_the_same_again(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    columns = [column("pld", PLD, 50, 4)]
    for name in ("a.svg", "b.svg", "a.png"):
        save(columns, 50, 4, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    text = (tmp_path / "a.svg").read_text()
    assert print_style.INK in text
    assert "<text" not in text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before
