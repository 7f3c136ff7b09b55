from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from pld_search.report import print_style
from pld_search.report.single_schedule_figure import sampled_run, schedule_figure, schedule_png
from pld_search.schedules.existing_layers import LayersAt
from tests.report.studies import PLD


def test_a_schedule_is_sampled_from_the_first_step_to_the_end() -> None:
    progress, theta, keep = sampled_run(PLD, 50, 4)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert len(progress) == len(np.unique(progress)) == 51
    assert theta[0] == 1.0
    assert keep.shape == (51, 4)
    assert keep[-1, -1] == pytest.approx(0.5, abs=1e-6)


def test_pictures_leave_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    assert schedule_png(PLD, 100, 4).startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before


def test_layers_that_do_not_exist_are_blank() -> None:
    stack = LayersAt((0, 50), (2, 4))
    with print_style.printed():
        figure = schedule_figure(PLD, 100, stack)
    heat, lines = figure.axes[0].get_images()[0], figure.axes[1].get_lines()
    drawn = np.ma.masked_invalid(heat.get_array())
    assert drawn.shape == (4, 101)
    assert drawn.mask[2:, :50].all() and not drawn.mask[:2].any() and not drawn.mask[:, 50:].any()
    assert [line.get_label() for line in lines] == ["layers there are / 4", "theta", "expected layers / 4"]
    assert lines[0].get_ydata()[[0, 49, 50, 100]].tolist() == [0.5, 0.5, 1.0, 1.0]
    assert lines[2].get_ydata()[0] == 0.5
    with print_style.printed():
        assert len(schedule_figure(PLD, 100, 4).axes[1].get_lines()) == 2
