from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest

from pld_search.records import jsonl
from pld_search.records.run_record import branch_folder, fold_run
from pld_search.records.study_record import StudyView, trial_folder, view
from pld_search.search.optuna.storage import open_storage
from tests.search.fake_trainer import UNDECAYED, loss_of
from tests.search.in_process import InProcess, snapshots
from tests.search.studies import run, small_study

SEARCH = "search: {objective: {minimize: valid/loss}, sampler: random, trials: 9, seed: 1, early_stopping: RULE}\n"
SYSTEM = "systems: {full: {schedule: full, optimizer.lr: 1e-3}}\n"
PROMOTION = "{kind: promotion, min: 10 %, eta: 3}"


def searched(
    tmp_path: Path, rule: str, folder: Path | None = None, sets: tuple[str, ...] = (), **options: Any
) -> tuple[StudyView, InProcess]:
    study = small_study(
        tmp_path, SYSTEM + SEARCH.replace("RULE", rule), sets=["optimizer.shape=wsd", "optimizer.decay=20 %", *sets]
    )
    launcher, folder = InProcess(), folder or tmp_path / "small"
    assert run(study, folder, slots=1, launcher=launcher, poll=0, **options) == 0
    return view(folder), launcher


def ends(found: StudyView) -> dict[int, Any]:
    """How every trial ended, without times."""
    return {
        trial.number: (
            trial.asked.params,
            trial.rung_steps,
            [rung.values for rung in trial.rungs],
            trial.promoted,
            trial.told and trial.told.payload(),
        )
        for trial in found.study.trials.values()
    }


def test_promotion_sends_a_third_on_from_each_rung_and_ranks_by_branches(tmp_path: Path) -> None:
    found, launcher = searched(tmp_path, PROMOTION)
    sampled = [trial for trial in found.study.trials.values() if trial.kind == "sampled"]
    assert found.study.trials[0].rung_steps == []  # a row of the comparison runs to its end
    assert Counter(trial.promoted for trial in sampled) == {0: 6, 1: 2, 2: 1}
    by_lr = sorted(sampled, key=lambda trial: abs(trial.asked.params["optimizer.lr"] - 1e-3))
    best = next(trial for trial in sampled if trial.promoted == 2)
    assert best.told is not None
    assert best.told.state == "COMPLETE"
    assert best in by_lr[:3]  # asynchronous: the best of all may have come when the third had its place
    for trial in sampled:
        assert trial.told is not None
        lr = trial.asked.params["optimizer.lr"]
        # of branches: a pause would say 9 - lr
        assert [rung.values for rung in trial.rungs] == [[pytest.approx(loss_of(lr, 0) + 1)]] * len(trial.rungs)
        assert trial.rungs
        pauses = found.runs[trial.number, 0].pauses
        assert pauses == trial.rung_steps[: len(trial.rungs)]
        assert (trial.told.state == "PRUNED") == (trial is not best)
    parts = Counter((until is not None, branch is not None) for _, until, branch in launcher.launched)
    assert parts == {(False, False): 2, (True, False): 9 + 3, (False, True): 9 + 3}


def test_no_step_of_a_run_is_taken_twice_and_branches_stay_out_of_it(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, PROMOTION)
    for (number, index), record in found.runs.items():
        assert record.executed_steps == record.step
        trial = found.study.trials[number]
        for rung in trial.rungs:
            branch = fold_run(branch_folder(trial_folder(found.folder, number, index), rung.steps))
            assert branch.state == "finished"
            assert branch.step == rung.steps + max(1, rung.steps // 5)
    finished = [record for record in found.runs.values() if record.state == "finished"]
    assert [record.final["train/loss"] for record in finished] == [820.0, 820.0]


def test_waiting_trials_are_running_in_optuna_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "small"
    states = {}
    for taken in _pictures(tmp_path, monkeypatch, folder, "promoted"):
        (study,) = optuna.get_all_study_names(storage := open_storage(taken))
        states[taken] = Counter(
            trial.state.name for trial in optuna.load_study(study_name=study, storage=storage).trials
        )
    assert len(states) == 4
    assert all(set(count) == {"RUNNING"} for count in states.values())
    (study,) = optuna.get_all_study_names(storage := open_storage(folder))
    trials = optuna.load_study(study_name=study, storage=storage).trials
    assert Counter(trial.state.name for trial in trials) == {"PRUNED": 8, "COMPLETE": 1}
    assert sorted(len(trial.intermediate_values) for trial in trials) == [1] * 6 + [2] * 3
    assert {step for trial in trials for step in trial.intermediate_values} == {1, 3}


def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, event: str) -> list[Path]:
    taken = snapshots(monkeypatch, folder, tmp_path / "taken")
    searched(tmp_path, PROMOTION, folder)
    return [path / folder.name for path in taken if path.name.endswith(event)]


@pytest.mark.parametrize(
    ("rule", "every"),
    [
        (PROMOTION, 1),
        ("{kind: asha, min: 10 %, eta: 3}", 9),
        ("{kind: hyperband, min: 5 %}", 9),
        ("{kind: median, every: 20 %, startup: 2}", 9),
        ("{kind: patient, every: 20 %, patience: 1}", 9),
    ],
)
def test_a_death_after_any_record_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, every: int
) -> None:
    sampler = ("search.sampler=tpe", "search.trials=4")
    taken = snapshots(monkeypatch, tmp_path / "small", tmp_path / "taken")
    found, _ = searched(tmp_path, rule, sets=sampler)
    whole = ends(found)
    monkeypatch.undo()
    assert len(taken) > 30
    for path in taken[::every]:
        again, _ = searched(tmp_path, rule, path / "small", sets=sampler)
        assert ends(again) == whole, path
        for key, record in again.runs.items():
            assert record.executed_steps == found.runs[key].executed_steps


LEARNED = "{kind: learned, min: 20 %, eta: 2}"


@pytest.mark.parametrize(
    "every", [29, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["some", "all"]
)
def test_a_death_after_any_record_leaves_every_decision_of_a_model_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    sets = ("search.sampler=gp", "search.trials=7")
    taken = snapshots(monkeypatch, tmp_path / "small", tmp_path / "taken")
    found, _ = searched(tmp_path, LEARNED, sets=sets)
    whole, decided = ends(found), decisions(found)
    monkeypatch.undo()
    assert Counter(each["by"] for each in decided if each["event"] == "decided")["model"] >= 3
    assert {each["trial"] for each in decided if each["event"] == "decided"} > {None}
    for path in taken[::every]:
        before = decisions(view(path / "small"))
        again, _ = searched(tmp_path, LEARNED, path / "small", sets=sets)
        assert ends(again) == whole, path
        assert decisions(again) == decided
        assert decided[: len(before)] == before


def decisions(found: StudyView) -> list[dict[str, Any]]:
    """Predictions and decisions as they were recorded, without times."""
    return [
        {key: value for key, value in record.items() if key not in ("seq", "time")}
        for record in jsonl.read(found.folder / "study.jsonl")
        if record["event"] in ("predicted", "decided")
    ]


def test_a_model_follows_its_record_and_says_when_there_is_none(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, LEARNED, sets=("search.sampler=gp", "search.trials=8"))
    records = decisions(found)
    decided = [each for each in records if each["event"] == "decided"]
    early = [each for each in decided if each["by"] == "promotion"]
    assert early
    assert decided[: len(early)] == early
    assert all("ended" in each["reason"] or "seen" in each["reason"] for each in early)
    sampled = [trial for trial in found.study.trials.values() if trial.kind == "sampled"]
    promoted = [each["trial"] for each in decided if each["trial"] is not None]
    assert Counter(promoted) == {trial.number: trial.promoted for trial in sampled if trial.promoted}
    for each in decided[len(early) :]:
        assert each["worth"] >= max((other["worth"] for other in each["others"]), default=0)
    finished = [trial for trial in sampled if trial.complete]
    assert 2 <= len(finished) < len(sampled)
    best = min(sampled, key=lambda trial: abs(trial.asked.params["optimizer.lr"] - 1e-3))
    assert best.complete
    predicted = [trial.predicted[-1] for trial in finished if trial.predicted]
    assert predicted
    assert all(each.sd > 0 for each in predicted)


def test_promotion_beside_a_tuned_system_in_one_storage(tmp_path: Path) -> None:
    """The sampler learns from trials that wait, whose ids in the storage are not their numbers."""
    folder, tuned = tmp_path / "small", "systems: {full: {schedule: full, tune: 2}}\n"
    search = SEARCH.replace("RULE", PROMOTION).replace("random, trials: 9", "tpe, trials: 14")
    study = small_study(
        tmp_path,
        tuned + search,
        sets=["optimizer.shape=wsd", "schedule={base: pld, temporal.end: {float: [0.2, 0.9]}}"],
    )
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    assert Counter(trial.kind for trial in view(folder).study.trials.values()) == {"tuning": 2, "sampled": 14}


def test_equal_trials_are_judged_once(tmp_path: Path) -> None:
    study = small_study(
        tmp_path, SEARCH.replace("RULE", PROMOTION), lr="{choice: [1e-3, 3e-3, 5e-3]}", sets=["optimizer.shape=wsd"]
    )
    launcher = InProcess()
    assert run(study, tmp_path / "small", slots=1, launcher=launcher, poll=0) == 0
    trials = view(tmp_path / "small").study.trials.values()
    assert len({folder for folder, _, _ in launcher.launched}) == len({trial.asked.digest for trial in trials}) <= 3
    assert len(trials) == 9
    assert all(trial.told is not None for trial in trials)
    for digest in {trial.asked.digest for trial in trials}:
        assert len({trial.told.state for trial in trials if trial.told and trial.asked.digest == digest}) == 1


def test_the_threshold_stops_what_lies_above_it(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, "{kind: threshold, every: 25 %, upper: 8.997}")  # undecayed losses are 9 - lr
    for trial in found.study.trials.values():
        assert trial.told is not None
        if trial.kind == "sampled":
            stopped = UNDECAYED - trial.asked.params["optimizer.lr"] > 8.997
            assert (trial.told.state == "PRUNED") == stopped
            assert len(trial.rungs) == (1 if stopped else 3)


def test_every_seed_counts_at_a_rung(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, PROMOTION, sets=("seeds=2", "search.trials=3"))
    sampled = [trial for trial in found.study.trials.values() if trial.kind == "sampled"]
    for trial in sampled:
        lr = trial.asked.params["optimizer.lr"]
        assert trial.rungs[0].values == [pytest.approx((loss_of(lr, 0) + loss_of(lr, 1)) / 2 + 1)]
    # alone at the second rung, the best goes on at last
    assert Counter(trial.promoted for trial in sampled) == {0: 2, 2: 1}


def test_a_diverged_run_counts_as_last_at_its_rung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIVERGE", "0.0008")
    found, _ = searched(tmp_path, "{kind: promotion, min: 50 %, eta: 2}")
    records = jsonl.read(found.folder / "study.jsonl")
    assert Counter(record["event"] for record in records)["completed"] == 1
    trials = [trial for trial in found.study.trials.values() if trial.kind == "sampled"]
    diverged = [trial for trial in trials if trial.told and trial.told.constraints["divergence/diverged"] > 0]
    assert 0 < len(diverged) < 9
    assert all(not trial.rungs or trial.promoted for trial in diverged)
    arrived = [trial for trial in trials if trial.rungs]
    # no place is taken by one that diverged
    assert sum(trial.promoted for trial in trials) == min(len(trials) // 2, len(arrived)) >= 2
    assert json.dumps(records)
