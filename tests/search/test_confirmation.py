from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_events import ContrastFixed, LaunchEvent, read_study_events
from pld_search.records.study_record import StudyView, view
from pld_search.records.winner import Winner, winner
from pld_search.report.comparison import comparison
from pld_search.report.leading_row import lead_text, leader
from pld_search.report.study_summary import summary
from pld_search.search.requests import request
from pld_search.search.run_outcomes import failed_for_good
from tests.search.fake_trainer import loss_of
from tests.search.in_process import InProcess, snapshots
from tests.search.studies import run, small_study

MORE = """
systems: {full: {schedule: full, optimizer.lr: 1e-3}, pld: {schedule: pld, tune: 2}}
reference: full
search: {sampler: random, trials: 4, seed: 1}
confirm: {top: 2, seeds: 3}
"""


def searched(tmp_path: Path, folder: Path | None = None, *sets: str) -> StudyView:
    folder = folder or tmp_path / "small"
    assert run(small_study(tmp_path, MORE, sets=sets), folder, slots=1, launcher=InProcess(), poll=0) == 0
    return view(folder)


def test_the_rows_and_the_best_get_fresh_seeds_and_only_they_see_the_test_split(tmp_path: Path) -> None:
    found = searched(tmp_path)
    trials = found.study.trials
    confirmed = {number for number, trial in trials.items() if trial.confirming}
    sampled = sorted(
        (trial for trial in trials.values() if trial.kind == "sampled"), key=lambda trial: trial.told.values[0]
    )  # type: ignore[index]
    assert confirmed == {
        found.study.chosen["full"].trial,
        found.study.chosen["pld"].trial,
        *(trial.number for trial in sampled[:2]),
    }
    for (number, index), record in found.runs.items():
        assert record.state == "finished"
        assert (index >= 1000) == ("test/loss" in record.final)
        assert record.started.seed == index
        assert index < 1000 or index in trials[number].confirming
    assert {index for _, index in found.runs} == {0, 1000, 1001, 1002}
    assert all(
        trial.told.values == [pytest.approx(loss_of(trial.asked.experiment["optimizer"]["lr"], 0))]
        for trial in trials.values()
        if trial.told
    )


def test_the_report_says_what_the_fresh_runs_say(tmp_path: Path) -> None:
    found = searched(tmp_path)
    table, about = comparison(found), summary(found)
    confirmed = [row for row in table if row.confirmed]
    assert len(confirmed) == 4
    for row in confirmed:
        assert row.experiment is not None
        assert row.metrics["valid/loss"].n == 3
        assert row.metrics["valid/loss"].mean == pytest.approx(loss_of(row.experiment.optimizer.lr, 1001))
        assert "test/loss" in row.metrics
    for row in table:
        if not row.confirmed:
            assert not row.differences
            assert "test/loss" not in row.metrics
    best = leader(table, about)
    assert best is not None
    assert best.confirmed
    told = {row.trial: found.study.trials[row.trial].told.values[0] for row in table}  # type: ignore[union-attr, index]
    assert best.trial == min(told, key=lambda number: told[number])
    assert {row.trial for row in confirmed if row.system is None and row.no_verdict == ""} <= {best.trial}
    assert "; confirmed on fresh seeds" in lead_text(best, about)


def test_winner_and_contrast_are_recorded_before_the_first_fresh_seed_and_stay(tmp_path: Path) -> None:
    searched(tmp_path)
    found = searched(tmp_path, None, "confirm.seeds=4").study  # more seeds choose nothing
    events = read_study_events(tmp_path / "small" / "study.jsonl")
    (at,) = [number for number, event in enumerate(events) if isinstance(event, ContrastFixed)]
    fresh = [
        number for number, event in enumerate(events) if isinstance(event, LaunchEvent) and event.seed_index >= 1000
    ]
    assert at < min(fresh)
    assert found.contrast == events[at]
    told = {number: trial.told.values[0] for number, trial in found.trials.items() if trial.told}  # type: ignore[index]
    won = min((number for number in told if found.trials[number].confirming), key=lambda number: told[number])
    full = found.chosen["full"].trial
    assert found.contrast is not None
    assert (found.contrast.winner, found.contrast.reference) == (won, full if won != full else None)
    assert found.contrast.metrics[0] == "test/loss"
    assert winner(found) == Winner(won, "confirmed")


def test_a_death_after_any_record_confirms_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = snapshots(monkeypatch, tmp_path / "small", tmp_path / "taken")
    whole = searched(tmp_path)
    monkeypatch.undo()
    begun = next(number for number, path in enumerate(taken) if path.name.endswith("confirming"))
    assert len(taken) - begun > 20
    for path in taken[begun - 1 :: 4]:
        again = searched(tmp_path, path / "small")
        assert {number: trial.confirming for number, trial in again.study.trials.items()} == {
            n: t.confirming for n, t in whole.study.trials.items()
        }
        assert {key: record.final for key, record in again.runs.items()} == {
            key: record.final for key, record in whole.runs.items()
        }


def test_a_run_that_failed_to_confirm_gets_a_new_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It crashes half way as often as it is tried; the others, and the trials' own ends, stay as they are."""
    folder, study, mended = tmp_path / "small", small_study(tmp_path, MORE), tmp_path / "mended"
    monkeypatch.setenv("FAKE_CRASH", "1e-9")
    monkeypatch.setenv("FAKE_CRASH_SEEDS", "1001")
    monkeypatch.setenv("FAKE_MEND", str(mended))
    options = {"slots": 1, "poll": 0, "machine": {"retries": 1}}
    assert run(study, folder, launcher=InProcess(), **options) == 1
    before = view(folder)
    failed = [trial for trial in before.study.trials.values() if trial.confirming]
    assert len(failed) == 4
    assert failed_for_good(before.study.trials.values(), 1) == [trial.number for trial in failed]
    assert all([trial.launches[index].launches for index in (1000, 1001, 1002)] == [1, 2, 1] for trial in failed)
    assert run(study, folder, launcher=(again := InProcess()), **options) == 1
    assert not again.launched  # nothing is tried unasked
    mended.touch()
    request(folder, "retry", trial=failed[0].number)
    assert run(study, folder, launcher=(again := InProcess()), **options) == 1
    assert [place.name for place, _, _ in again.launched] == ["seed-1001"]
    request(folder, "retry", trial=None)
    assert run(study, folder, launcher=InProcess(), **options) == 0
    found = view(folder)
    assert all(record.state == "finished" for record in found.runs.values())
    assert {number: trial.told for number, trial in found.study.trials.items()} == {
        number: trial.told for number, trial in before.study.trials.items()
    }
    assert not failed_for_good(found.study.trials.values(), 1)


def test_more_fresh_seeds_are_welcome(tmp_path: Path) -> None:
    searched(tmp_path)
    found = searched(tmp_path, None, "confirm.seeds=4")
    assert sum(index == 1003 for _, index in found.runs) == 4


def test_what_is_maximised_chooses_and_confirms_the_largest(tmp_path: Path) -> None:
    found = searched(tmp_path, None, "search.objective.maximize=valid/loss")
    told = {number: trial.told.values[0] for number, trial in found.study.trials.items() if trial.told}
    of = {
        kind: [number for number, trial in found.study.trials.items() if trial.kind == kind]
        for kind in ("tuning", "sampled")
    }
    assert len({told[number] for number in of["tuning"]}) > 1
    assert told[found.study.chosen["pld"].trial] == max(told[number] for number in of["tuning"])
    confirmed = {number for number in of["sampled"] if found.study.trials[number].confirming}
    assert confirmed == set(sorted(of["sampled"], key=lambda number: -told[number])[:2])


def test_what_diverged_is_neither_chosen_nor_confirmed_however_good_its_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A uniform guess over 1,000 pieces, ln 1000 = 6.91, is better than the loss of the only rate that trains, 6.95."""
    monkeypatch.setenv("FAKE_DIVERGE", "3e-3")
    study = small_study(
        tmp_path, MORE.replace("tune: 2", "tune: 4").replace("seed: 1", "seed: 2"), lr="{choice: [2.95e-3, 5e-3]}"
    )
    folder = tmp_path / "small"
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    found = view(folder)
    trials = found.study.trials
    rate = {number: trial.asked.experiment["optimizer"]["lr"] for number, trial in trials.items()}
    for kind in ("tuning", "sampled"):
        assert {rate[number] for number, trial in trials.items() if trial.kind == kind} == {2.95e-3, 5e-3}
    values = {
        rate[number]: trial.told.values[0] for number, trial in trials.items() if trial.told and trial.kind != "system"
    }
    assert values[5e-3] < values[2.95e-3]
    assert rate[found.study.chosen["pld"].trial] == 2.95e-3
    assert {rate[number] for number, trial in trials.items() if trial.confirming and trial.kind == "sampled"} == {
        2.95e-3
    }
