"""The text's part in a difference: against statistics/bootstrap.py, and left out where it says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pld_search.records.events import HeldOutLosses
from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.text_noise import text_noise
from pld_search.statistics.bootstrap import bootstrap, document_variance
from pld_search.statistics.compare import compare
from tests.report.studies import FULL, PLD, Folder, experiment

BLOCKS, ROWS = 60, ("full", "pld", "low")


def losses(row: int, seed: int, documents: int = 90) -> HeldOutLosses:
    """Losses of a row that is 0.1 nats better each than the row before, noisy by document."""
    drawn = np.random.default_rng((row, seed))
    sums = 40 * (5 - 0.1 * row + np.random.default_rng(9).normal(0, 0.5, BLOCKS) + drawn.normal(0, 0.05, BLOCKS))
    return HeldOutLosses.of_arrays(10, "validation", documents, sums, np.full(BLOCKS, 40))


def runs(documents: int = 90) -> dict[str, dict[int, RunRecord]]:
    return {
        row: {seed: RunRecord(losses={"validation": losses(number, seed, documents)}) for seed in range(3)}
        for number, row in enumerate(ROWS)
    }


def test_variances_and_intervals_are_those_of_statistics() -> None:
    found = text_noise(runs(), "full", "valid/loss")
    sums = np.array([[losses(row, seed).arrays[0] for seed in range(3)] for row in range(3)])
    counts = np.full(BLOCKS, 40)
    wanted = document_variance(sums, counts, 0, 90)
    drawn = bootstrap(sums, counts, 0, documents=90)
    assert drawn is not None
    assert found.variances == {"pld": wanted[1], "low": wanted[2]}
    assert found.intervals == {"pld": drawn[1], "low": drawn[2]}
    assert found.intervals["low"].low < -0.2 < found.intervals["low"].high


def test_what_says_nothing_of_other_text_is_left_out() -> None:
    few, other, none = runs(25), runs(), runs()
    assert not text_noise(few, "full", "valid/loss").variances
    assert few["pld"][0].losses["validation"].documents == 25
    sums, counts = losses(1, 0).arrays
    other["pld"][0] = RunRecord(losses={"validation": HeldOutLosses.of_arrays(10, "validation", 90, sums, counts + 1)})
    none["pld"] = {0: RunRecord()}
    for changed in (other, none):
        assert set(text_noise(changed, "full", "valid/loss").variances) == {"low"}
    assert not text_noise(runs(), "full", "demo/average").variances
    assert not text_noise(runs(), "gone", "valid/loss").variances


def test_the_reports_intervals_have_the_texts_part(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "s", systems=["full", "pld"], reference="full")
    values: dict[str, dict[int, float]] = {"full": {}, "pld": {}}
    for number, (name, schedule) in enumerate((("full", FULL), ("pld", PLD))):
        what = experiment(schedule)
        trial = folder.ask(what, name, seeds=(0, 1))
        for seed in range(2):
            kept = losses(number, seed)
            sums, counts = kept.arrays
            values[name][seed] = float(sums.sum() / counts.sum()) + 0.002 * seed * number
            folder.run(trial, what, values[name][seed], seed, losses=kept)
    (_, pld) = comparison(view(folder.complete()))
    found = pld.differences["valid/loss"]
    sums = np.array([[losses(row, seed).arrays[0] for seed in range(2)] for row in range(2)])
    text = document_variance(sums, np.full(BLOCKS, 40), 0, 90)[1]
    assert text is not None
    wanted = compare(values, "full", documents={"pld": text})["pld"]
    assert found.interval == pytest.approx(wanted.interval)
    assert found.text_share == pytest.approx(wanted.text_share)
    assert found.bootstrap is not None and found.bootstrap[0] < found.value < found.bootstrap[1]
    assert pld.differences["test/loss"].text_share is None
