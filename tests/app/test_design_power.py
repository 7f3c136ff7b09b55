"""What a plan says of a design: against the power of statistics/, from stated, earlier and own spreads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pld_search.app.design_power import measured_deviation, power_of
from pld_search.spaces.load_study import load_study
from pld_search.spaces.study import Study
from pld_search.statistics.power import Design, detectable, power, power_to_show_equal, seeds_needed

RECORDED = Path(__file__).parent.parent / "recorded"
TEXT = """
experiment:
  model: {layers: 6, hidden: 24, heads: 2}
  data: {train: demo, tokenizer: {train: wordpiece, vocabulary: 200}, length: 16}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
budget: {steps: 20, equal: flops}
systems:
  full: {schedule: full}
  pld: {schedule: pld}
  random: {schedule: random}
  shallow: {schedule: full, model.layers: 4}
reference: full
"""
ROWS = [
    {"system": name, "architecture": "4" if name == "shallow" else "6", "tflop": 2.0}
    for name in ("full", "pld", "random", "shallow")
]


def study(tmp_path: Path, more: str) -> Study:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT + more)
    return load_study(file)


def test_a_stated_spread(tmp_path: Path) -> None:
    found = power_of(study(tmp_path, "seeds: 3\ndecide: {spread: 0.005}\n"), ROWS, tmp_path, 0.004)
    assert found is not None
    design = Design(systems=4, seeds=3, sd=0.005, other=1)
    assert found.detectable == pytest.approx(detectable(design))
    assert found.own == pytest.approx(detectable(design, own=True))
    assert found.own is not None and found.detectable is not None
    assert found.own > found.detectable  # three pairs say less than a pooled residual
    assert (found.needed, found.between) == (seeds_needed(design, 0.004), None)
    assert found.needed is not None and found.tflop == pytest.approx(8.0 * found.needed)
    assert (
        power(Design(4, found.needed, 0.005, other=1), 0.004)
        >= 0.8
        > power(Design(4, found.needed - 1, 0.005, other=1), 0.004)
    )


def test_a_margin_says_how_often_equality_is_shown(tmp_path: Path) -> None:
    found = power_of(study(tmp_path, "seeds: 3\ndecide: {spread: 0.005, margin: 0.02 nats}\n"), ROWS, tmp_path, None)
    assert found is not None
    design = Design(systems=4, seeds=3, sd=0.005, other=1)
    assert found.margin == 0.02
    assert found.equal == pytest.approx(power_to_show_equal(design, 0.02))
    assert found.equal_own == pytest.approx(power_to_show_equal(design, 0.02, own=True))
    assert found.equal is not None and found.equal_own is not None and found.equal_own < found.equal
    for more in (
        "decide: {spread: 0.005}",
        "decide: {margin: 0.02 nats}",
        "decide: {spread: 0.005, margin: 5 % of FLOPs}",
    ):
        unknown = power_of(study(tmp_path, f"seeds: 3\n{more}\n"), ROWS, tmp_path, None)
        assert unknown is not None and (unknown.equal, unknown.equal_own) == (None, None)


def test_no_spread_is_told_in_deviations(tmp_path: Path) -> None:
    found = power_of(study(tmp_path, "seeds: 3\n"), ROWS, tmp_path, 0.01)
    assert found is not None
    assert (found.sd, found.needed, found.wanted) == (None, None, None)
    assert found.detectable == pytest.approx(detectable(Design(4, 3, 1.0, other=1)))


def test_the_spread_of_an_earlier_study(tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "finished", tmp_path / "finished")
    measured = measured_deviation(tmp_path / "finished", "valid/loss")
    assert measured is not None
    assert measured.freedom == 1  # two rows of two seeds
    found = power_of(study(tmp_path, "seeds: 3\ndecide: {spread: finished}\n"), ROWS, tmp_path, None)
    assert found is not None and found.between is not None and found.detectable is not None
    assert found.sd == pytest.approx(measured.sd)
    assert found.between[0] < found.detectable < found.between[1]


def test_a_study_that_decides_nothing(tmp_path: Path) -> None:
    assert study(tmp_path, "seeds: 1\n").decides_nothing
    assert not study(tmp_path, "seeds: 2\n").decides_nothing
    found = power_of(study(tmp_path, "seeds: 1\n"), ROWS, tmp_path, None)
    assert found is not None and (found.detectable, found.own) == (None, None)
