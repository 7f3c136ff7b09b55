"""A grid of rates: one run a rate on a seed of its own, then the row at the vertex; the same after a death."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pld_search.errors import NothingFeasible
from pld_search.records.study_record import StudyView, view
from pld_search.report.comparison import comparison
from pld_search.report.row_marks import marks
from pld_search.statistics.rate_optimum import best_rate
from tests.search.fake_trainer import loss_of
from tests.search.in_process import InProcess, snapshots
from tests.search.studies import run, small_study

GRIDS = """
systems:
  full: {schedule: full, tune: {optimizer.lr: [1e-3, 2e-3, 4e-3]}}
  pld: {schedule: pld, tune: {optimizer.lr: [2e-3, 3e-3, 8e-3]}}
reference: full
seeds: 2
search: {sampler: random, trials: 2, seeds: 1}
"""


def tuned(tmp_path: Path, folder: Path | None = None, *sets: str) -> StudyView:
    folder = folder or tmp_path / "small"
    assert run(small_study(tmp_path, GRIDS, sets=sets), folder, slots=1, launcher=InProcess(), poll=0) == 0
    return view(folder)


def test_a_row_runs_its_own_seeds_at_the_vertex_and_may_be_judged(tmp_path: Path) -> None:
    found = tuned(tmp_path)
    asked = [(trial.kind, trial.system, trial.seeds) for trial in found.study.trials.values()]
    assert asked[:6] == [("tuning", name, [2000]) for name in ("full", "pld") * 3]
    assert asked[6:8] == [("system", "full", [0, 1]), ("system", "pld", [0, 1])]
    assert [kind for kind, _, _ in asked[8:]] == ["sampled"] * 2
    for name, rates in (("full", (1e-3, 2e-3, 4e-3)), ("pld", (2e-3, 3e-3, 8e-3))):
        event = found.study.tuned[name]
        wanted = best_rate(rates, [loss_of(rate, 2000) for rate in rates])
        assert (event.rate, event.edge) == (wanted.rate, wanted.edge)
        row = next(row for row in comparison(found) if row.label == name)
        assert row.experiment is not None and row.experiment.optimizer.lr == event.rate
        assert (row.no_verdict, row.tuning_trials, sorted(row.runs)) == ("", 3, [0, 1])
        assert f"lr {event.rate:.3g}, by 3 tuning runs" in marks(row)[0]
    for (number, index), record in found.runs.items():
        assert ("test/loss" in record.final) == (found.study.trials[number].kind != "tuning"), (number, index)


def test_what_diverged_is_not_on_the_curve_and_more_seeds_are_the_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DIVERGE", "5e-3")
    found = tuned(tmp_path)
    event = found.study.tuned["pld"]
    assert len(event.trials) == 2 and event.edge is not None and event.rate in (2e-3, 3e-3)
    assert "the optimum may lie beyond" in marks(next(row for row in comparison(found) if row.label == "pld"))[0]
    more = tuned(tmp_path, None, "seeds=3").study.trials.values()
    assert {(trial.kind, len(trial.seeds)) for trial in more} == {("tuning", 1), ("system", 3), ("sampled", 1)}


def test_a_row_without_a_rate_lets_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIVERGE", "1.5e-3")
    with pytest.raises(NothingFeasible, match="none of 2 sampled"):
        tuned(tmp_path)
    found = view(tmp_path / "small")
    assert (found.study.tuned["pld"].rate, found.study.tuned["full"].rate) == (None, 1e-3)
    assert "pld" not in found.study.chosen
    assert sum(trial.kind == "sampled" for trial in found.study.trials.values()) == 2


def test_a_death_after_any_record_tunes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = snapshots(monkeypatch, tmp_path / "small", tmp_path / "taken")
    whole = tuned(tmp_path)
    monkeypatch.undo()
    assert any(path.name.endswith("tuned") for path in taken)
    for path in taken[3::7]:
        again = tuned(tmp_path, path / "small")
        assert {name: event.rate for name, event in again.study.tuned.items()} == {
            name: event.rate for name, event in whole.study.tuned.items()
        }
        assert [trial.asked.digest for trial in again.study.trials.values()] == [
            trial.asked.digest for trial in whole.study.trials.values()
        ]
    assert math.isfinite(sum(record.final["valid/loss"] for record in whole.runs.values()))
