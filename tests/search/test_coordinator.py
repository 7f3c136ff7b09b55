from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from pld_search.errors import ConfigError, NothingFeasible, StudyError
from pld_search.records import jsonl
from pld_search.records.study_events import TrialAsked, TrialRejected
from pld_search.records.study_record import view
from pld_search.search.coordinator import verdict
from pld_search.search.launch_command import Start
from pld_search.search.ledger import Ledger
from tests.search.fake_trainer import loss_of
from tests.search.studies import OPEN_LR, SEARCH, VOCABULARY, check_ended_once, run, small_study


def kinds(folder: Path) -> Counter[str]:
    return Counter(record["event"] for record in jsonl.read(folder / "study.jsonl"))


def test_a_study_runs_to_its_end_and_a_second_time_does_nothing(tmp_path: Path) -> None:
    folder, study = tmp_path / "small", small_study(tmp_path)
    assert run(study, folder) == 0
    found = check_ended_once(folder)
    trials = found.study.trials
    assert [trial.kind for trial in trials.values()] == ["system", "tuning", "tuning", "tuning", *["sampled"] * 4]
    assert found.study.completed
    assert trials[0].told is not None
    assert trials[0].told.values == [pytest.approx((loss_of(1e-3, 0) + loss_of(1e-3, 1)) / 2)]  # the mean over seeds
    losses = {number: trials[number].told.values[0] for number in (1, 2, 3)}  # type: ignore[index]
    assert found.study.chosen["pld"].trial == min(losses, key=lambda number: losses[number])
    assert found.study.chosen["pld"].spent == 3
    assert found.study.chosen["full"].trial == 0
    assert kinds(folder)["launched"] == kinds(folder)["exited"] == len(found.runs) == 9
    assert found.runs[0, 1].started.seed == 1
    assert found.runs[0, 0].started.execution["threads"] >= 1
    assert run(study, folder) == 0
    assert kinds(folder)["launched"] == 9


def test_more_trials_and_more_seeds_are_welcome(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    assert run(small_study(tmp_path), folder) == 0
    assert run(small_study(tmp_path, sets=["search.trials=6"]), folder, slots=1) == 0
    assert kinds(folder)["launched"] == 11
    assert (
        run(small_study(tmp_path, sets=["search.trials=6", "systems.pld.tune=4", "systems.full.seeds=3"]), folder) == 0
    )
    found = check_ended_once(folder)
    assert kinds(folder)["launched"] == 13
    assert found.study.trials[0].told is not None
    assert found.study.trials[0].told.values == [pytest.approx(loss_of(1e-3, 1))]
    assert found.study.chosen["pld"].spent == 4


@pytest.mark.parametrize(
    ("sets", "difference"),
    [
        (["model.layers=5"], "experiment.model.layers: 4 -> 5"),
        (["search.objective={minimize: train/loss}"], "objective"),
        (["search.constraints=[saved/flops >= 1 %]"], "constraints"),
        (["systems.full.optimizer.lr=2e-3"], "systems.full.optimizer.lr: 0.001 -> 0.002"),
        (["search.trials=1"], "search.trials: 4 -> 1"),
    ],
)
def test_a_changed_study_is_refused_with_the_difference(tmp_path: Path, sets: list[str], difference: str) -> None:
    folder = tmp_path / "small"
    stop_at_once = small_study(tmp_path)
    with pytest.raises(RuntimeError, match="enough"):
        run(stop_at_once, folder, command=_no_command)
    with pytest.raises(ConfigError) as refused:
        run(small_study(tmp_path, sets=sets), folder)
    assert refused.value.exit_code == 2
    assert difference in str(refused.value)
    assert "another name or folder" in str(refused.value)


def _no_command(start: Start) -> list[str]:
    raise RuntimeError("enough")


def test_data_that_changed_is_refused(tmp_path: Path) -> None:
    from tests.search.studies import prepare

    folder, study = tmp_path / "small", small_study(tmp_path)
    with pytest.raises(RuntimeError, match="enough"):
        run(study, folder, command=_no_command)

    def other(study: object) -> object:
        prepared = prepare(study)  # type: ignore[arg-type]
        return prepared.model_copy(
            update={"corpus": prepared.corpus.model_copy(update={"corpus": "sha256:" + "2" * 64})}
        )

    with pytest.raises(ConfigError, match=r"data\.corpus: the content changed"):
        run(study, folder, prepare=other)


def test_divergence_is_told_as_a_finite_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIVERGE", "2e-3")
    folder = tmp_path / "small"
    study = small_study(
        tmp_path, "systems: {hot: {schedule: full, optimizer.lr: 5e-3, seeds: 2}}\n" + SEARCH, sets=["search.trials=6"]
    )
    assert run(study, folder) == 0
    trials = check_ended_once(folder).study.trials.values()
    states = Counter()
    for trial in trials:
        assert trial.told is not None
        assert trial.told.state == "COMPLETE"
        diverged = trial.told.constraints["divergence/diverged"]
        states[diverged] += 1
        assert (trial.told.values == [pytest.approx(math.log(VOCABULARY))]) == (diverged == 1)
        assert not diverged or "exploded" in trial.told.reason
    assert set(states) == {0.0, 1.0}


def test_nothing_feasible_before_training_ends_with_code_3_and_trains_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    search = SEARCH.replace("seed: 0", "seed: 0, constraints: [forecast/total_flops <= 1]").replace("tpe", "random")
    study = small_study(tmp_path, search)
    for _ in range(2):  # the second time asks nothing more
        with pytest.raises(NothingFeasible, match="forecast/total_flops <= 1") as nothing:
            run(study, folder)
        assert nothing.value.exit_code == 3
        assert kinds(folder)["rejected"] == 100
        assert kinds(folder)["launched"] == 0
    told = [record for record in jsonl.read(folder / "study.jsonl") if record["event"] == "told"]
    assert {record["state"] for record in told} == {"PRUNED"}
    assert all(record["constraints"]["forecast/total_flops <= 1"] > 0 for record in told)


def test_a_tuned_system_that_is_given_up_ends_with_code_3_too(tmp_path: Path) -> None:
    study = small_study(
        tmp_path, "systems: {full: {schedule: full, optimizer.lr: 1e-3}, pld: {schedule: pld, tune: 3}}\n"
    )
    ledger = Ledger(tmp_path / "small")
    for number in range(100):
        assert verdict(ledger, study) == 0
        ledger.write(TrialAsked(trial=number, kind="tuning", system="pld", seeds=[0]))
        ledger.write(TrialRejected(trial=number, reason="too small", constraint={}))
    with pytest.raises(
        NothingFeasible,
        match=(
            r"the last 100 tuning configurations of pld were rejected .* after 0 of 3 trials; the last reason: "
            r"too small"
        ),
    ):
        verdict(ledger, study)
    ledger.close()


def test_infeasible_and_unbuildable_configurations_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    search = (
        "search: {sampler: random, trials: 4, seed: 1, constraints: [forecast/expected_layers_mean <= 3.5, "
        "saved/flops >= 30 %]}\n"
    )
    study = small_study(
        tmp_path, search, sets=["schedule={choice: {full: {base: full}, pld: {base: pld}}}", "optimizer.lr=1e-3"]
    )
    with pytest.raises(NothingFeasible):  # every trained one saves 25 % only
        run(study, folder)
    trials = check_rejections(folder)
    assert len([trial for trial in trials if trial.rejected is None]) == 4
    assert any(trial.rejected for trial in trials)


def check_rejections(folder: Path) -> list:  # type: ignore[type-arg]
    trials = list(view(folder).study.trials.values())
    for trial in trials:
        assert (trial.rejected is not None) == (trial.asked.params["schedule"] == "full")
        assert trial.told is not None
        assert trial.told.state == ("PRUNED" if trial.rejected else "COMPLETE")
        assert bool(trial.launches or trial.reused) != bool(trial.rejected)
        if not trial.rejected:
            assert trial.told.constraints["saved/flops >= 0.3"] == pytest.approx(0.05)
    return trials


def test_a_failing_configuration_is_tried_again_and_does_not_end_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CRASH", "4e-3")
    folder = tmp_path / "small"
    study = small_study(
        tmp_path, "systems: {hot: {schedule: full, optimizer.lr: 5e-3}, good: {schedule: full}}\n", lr="1e-3"
    )
    assert run(study, folder) == 1
    trials = view(folder).study.trials
    assert trials[0].told is not None
    assert trials[1].told is not None
    assert (trials[0].told.state, trials[1].told.state) == ("FAIL", "COMPLETE")
    assert "as told" in trials[0].told.reason
    assert trials[0].launches[0].launches == 3
    assert run(study, folder) == 1
    assert kinds(folder)["launched"] == 4


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WRONG", "1")
    folder = tmp_path / "small"
    assert run(small_study(tmp_path, "", lr="1e-3"), folder) == 1
    trial = view(folder).study.trials[0]
    assert trial.launches[0].launches == 1
    assert "run.log" in str(trial.launches[0].reason)
    assert "this configuration is wrong" in (folder / "trials/0000/seed-0/run.log").read_text()


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KILL_ONCE", "1")
    folder = tmp_path / "small"
    assert run(small_study(tmp_path), folder) == 0
    found = check_ended_once(folder)
    assert len(found.runs) == 9
    for record in found.runs.values():
        assert record.resumed_from == [20]
        assert record.executed_steps <= 40 + 3
    assert kinds(folder)["launched"] == 18


def test_brute_force_visits_every_combination_and_stops(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    sets = ["batch.sequences={int: [4, 8], step: 4}"]
    study = small_study(
        tmp_path, "search: {sampler: bruteforce, trials: 50}\n", lr="{choice: [1e-4, 1e-3, 1e-2]}", sets=sets
    )
    assert run(study, folder) == 0
    points = {tuple(sorted(trial.asked.params.items())) for trial in check_ended_once(folder).study.trials.values()}
    assert len(points) == 6
    assert kinds(folder)["launched"] == 6


def test_lost_and_torn_files(tmp_path: Path) -> None:
    folder, study = tmp_path / "small", small_study(tmp_path)
    assert run(study, folder) == 0
    for name in ("study.jsonl", "study.journal"):
        with (folder / name).open("ab") as file:
            file.write(b'{"event": "to')
    assert run(small_study(tmp_path, sets=["search.trials=5"]), folder) == 0
    (folder / "study.journal").unlink()
    assert run(small_study(tmp_path, sets=["search.trials=6"]), folder) == 0
    assert kinds(folder)["launched"] == 11
    (folder / "study.jsonl").unlink()
    with pytest.raises(StudyError, match="records are lost"):
        run(study, folder)


def test_observers_see_changes_and_the_end_and_the_report_is_written_before(tmp_path: Path) -> None:
    seen: list[str] = []

    class Witness:
        def notice(self, folder: Path) -> None:
            seen.append("notice")

        def close(self, folder: Path) -> None:
            seen.append("close")

    folder = tmp_path / "small"
    study = small_study(tmp_path, "", lr="1e-3")
    assert run(study, folder, observers=[Witness()], report=lambda _: seen.append("report")) == 0
    assert seen[-2:] == ["report", "close"]
    assert seen.count("notice") >= 2


def test_one_run_and_an_open_lr_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    assert run(small_study(tmp_path, "seeds: 2\n", lr="1e-3"), folder) == 0
    found = check_ended_once(folder)
    assert list(found.runs) == [(0, 0), (0, 1)]
    with pytest.raises(ConfigError):
        small_study(tmp_path, "", lr=OPEN_LR)
