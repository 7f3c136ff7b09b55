from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from pld_search.records.study_events import TrialConfirming
from pld_search.records.study_record import view
from pld_search.records.winner import Winner
from pld_search.report import comparison as comparisons
from pld_search.report import pareto
from pld_search.report.comparison import SystemRow, comparison, downstream
from pld_search.report.leading_row import leader
from pld_search.report.recorded_experiments import executed_sigma, full_step
from pld_search.report.study_summary import summary
from pld_search.spaces.objectives import Objective, Objectives
from tests.report.searched import searched
from tests.report.studies import FULL, PLD, Folder, experiment, schedule, tflop


@pytest.fixture(scope="module")
def table(demo: Path) -> list[SystemRow]:
    return comparison(view(demo))


def of(table: list[SystemRow], label: str) -> SystemRow:
    return next(row for row in table if row.label == label)


def test_systems_in_the_studys_order_then_sampled_trials_best_first_rejected_last(table: list[SystemRow]) -> None:
    assert [row.label for row in table] == [
        "full",
        "pld",
        "shallow",
        "random",
        "tuned",
        "trial 7",
        "trial 6",
        "trial 8",
    ]


def test_means_spread_and_differences_golden(table: list[SystemRow]) -> None:
    full, pld, shallow = of(table, "full"), of(table, "pld"), of(table, "shallow")
    assert full.metrics["valid/loss"].mean == pytest.approx(5.45)
    assert full.metrics["valid/loss"].sd == pytest.approx(math.sqrt(2) * 0.01)
    assert full.differences == {}
    assert pld.differences["valid/loss"].value == pytest.approx(5.39 - 5.44)  # over the one seed that both have
    assert shallow.differences["valid/loss"].value == pytest.approx(5.75 - 5.44)
    assert pld.differences["valid/loss"].interval is None  # one run of each row says nothing of the spread
    assert pld.differences["valid/loss"].verdict == "undecided"
    assert pld.differences["demo/average"].value == pytest.approx(0.63 - 0.60)
    assert pld.differences["demo/average"].verdict is None
    assert "saved/flops" not in pld.differences


def test_distance_to_the_unigram_entropy(table: list[SystemRow]) -> None:
    assert of(table, "full").below_unigram == pytest.approx(0.55)
    assert of(table, "random").below_unigram is None


def test_a_tuned_system_shows_the_chosen_trial_and_what_it_cost(table: list[SystemRow]) -> None:
    tuned = of(table, "tuned")
    assert (tuned.trial, tuned.tuning_trials) == (5, 2)
    assert tuned.metrics["valid/loss"].mean == 5.43
    assert of(table, "full").tuning_trials == 0


def test_a_diverged_run_is_counted_and_gives_no_metric(table: list[SystemRow]) -> None:
    random = of(table, "random")
    assert (random.diverged, random.finished, random.planned) == (1, 0, 1)
    assert random.metrics == {}
    assert random.cost is None


def test_executed_flops_are_equal_within_sampling_error(table: list[SystemRow]) -> None:
    judged = [row for row in table if row.cost is not None and not row.is_reference]
    assert len(judged) == 5
    for row in judged:
        assert row.cost is not None
        assert row.cost.equal
        assert row.cost.tolerance is not None
        assert 0 < row.cost.tolerance < 0.05


def test_executed_flops_beyond_sampling_error_are_not_equal(tmp_path: Path) -> None:
    study = Folder(tmp_path / "unequal", systems=["full", "pld"], reference="full")
    for name, drops in (("full", FULL), ("pld", PLD)):
        what = experiment(drops)  # the same number of steps: PLD spends less
        study.run(study.ask(what, name), what, 5.4)
    pld = of(comparison(view(study.complete())), "pld")
    assert pld.cost is not None
    assert pld.cost.ratio == pytest.approx(0.72, abs=0.01)
    assert pld.cost.equal is False


def confirmed_study(path: Path, *, pld: bool, diverged: bool) -> list[SystemRow]:
    """Full depth and PLD over one seed of the search (5.0 and 5.3), and three fresh ones of full depth (and of PLD)."""
    study = Folder(path, systems=["full", "pld"], reference="full", confirm={"top": 1, "seeds": 3})
    for name, drops, losses in (("full", FULL, (5.4, 5.2, 5.6)), ("pld", PLD, (5.5, 5.25, 5.75))):
        what = experiment(drops)
        trial = study.ask(what, name)
        study.run(trial, what, 5.0 if name == "full" else 5.3)
        if name == "full" or pld:
            study.study.write(TrialConfirming(trial=trial, seeds=[1000, 1001, 1002]))
            for seed, loss in enumerate(losses, 1000):
                study.run(
                    trial,
                    what,
                    loss,
                    seed,
                    end="diverged" if diverged and (name, seed) == ("full", 1001) else "finished",
                )
    return comparison(view(study.complete()))


def test_fresh_seeds_are_judged_by_pairs_and_survivors_are_not(tmp_path: Path) -> None:
    every = of(confirmed_study(tmp_path / "every", pld=True, diverged=False), "pld").differences["test/loss"]
    pairs = [(5.5, 5.4), (5.25, 5.2), (5.75, 5.6)]
    paired = ttest_rel(*zip(*pairs, strict=True))
    low, high = paired.confidence_interval()
    assert every.value == pytest.approx(0.1)
    assert every.p == pytest.approx(paired.pvalue)
    assert every.interval == pytest.approx((low, high))
    assert (every.seeds, every.verdict) == (3, "undecided")
    lost = confirmed_study(tmp_path / "lost", pld=True, diverged=True)
    full, pld = of(lost, "full"), of(lost, "pld")
    assert (full.no_verdict, pld.no_verdict) == ("2 of 3 finished", "full: 2 of 3 finished")
    assert "valid/loss" not in full.metrics
    assert pld.differences == {}


def test_fresh_seeds_are_never_set_against_those_of_the_search(tmp_path: Path) -> None:
    table = confirmed_study(tmp_path / "one", pld=False, diverged=False)
    assert [(row.label, row.confirmed, row.metrics["valid/loss"].n, row.differences) for row in table] == [
        ("full", True, 3, {}),
        ("pld", False, 1, {}),
    ]


def test_four_groups_a_step_halve_the_sampling_error() -> None:
    from pld_search.specs.experiment import Batch

    one = experiment(PLD)
    assert executed_sigma(one.model_copy(update={"batch": Batch(sequences=64, groups=4)})) == pytest.approx(
        executed_sigma(one) / 2
    )
    assert executed_sigma(experiment(FULL)) == 0.0


def test_downstream_names_end_with_the_average(table: list[SystemRow]) -> None:
    assert downstream(table) == ["demo/period/accuracy", "demo/average"]


def test_without_a_reference_no_difference_is_stated(tmp_path: Path) -> None:
    study = Folder(tmp_path / "search", search={"objective": {"minimize": "valid/loss"}})
    for loss in (5.5, 5.4):
        what = experiment(schedule("pld", 0.5 + loss / 100))
        study.run(study.ask(what, None), what, loss)
    table = comparison(view(study.complete()))
    assert [(row.label, row.differences) for row in table] == [("trial 1", {}), ("trial 0", {})]


def test_a_maximized_objective_orders_the_other_way_and_infeasible_trials_follow(tmp_path: Path) -> None:
    study = Folder(tmp_path / "max", search={"objective": {"maximize": "demo/average"}})
    what = experiment(PLD)
    for value, constraint in ((0.5, 0.0), (0.7, 0.0), (0.9, 0.2)):
        trial = study.ask(what, None)
        study.run(trial, what, 5.5, demo__average=value)
        study.tell(trial, value, constraints=[constraint])
    assert [row.trial for row in comparison(view(study.complete()))] == [1, 0, 2]


def test_a_study_that_has_just_begun_has_rows_without_metrics(tmp_path: Path) -> None:
    study = Folder(tmp_path / "new", systems=["full"], reference="full")
    what = experiment(FULL)
    study.ask(what, "full", experiment=what.model_dump(mode="json"))
    study.study.close()
    (row,) = comparison(view(tmp_path / "new"))
    assert (row.states, row.metrics, row.layers, row.model) == ({"new": 1}, {}, 6, "6 x 96, pre, alibi")


@pytest.mark.parametrize("told", [True, False])
def test_where_more_is_better_the_greatest_comes_first(tmp_path: Path, told: bool) -> None:
    study = Folder(tmp_path / "scores", search={"objective": {"maximize": "demo/average"}, "trials": 3})
    for score in (0.6, 0.8, 0.7):
        what = experiment(FULL)
        trial = study.ask(what, None)
        study.run(trial, what, 5.0, demo__average=score)
        if told:
            study.tell(trial, score)
    assert [row.label for row in comparison(view(study.complete()))] == ["trial 1", "trial 2", "trial 0"]


def test_the_front_of_what_shall_fall_and_what_shall_rise(tmp_path: Path) -> None:
    goals = Objectives((Objective(minimize="valid/loss"), Objective(maximize="demo/average")))
    study = Folder(tmp_path / "both", search={"objective": [goal.model_dump() for goal in goals], "trials": 3})
    for loss, score in ((5.0, 0.6), (5.2, 0.8), (5.3, 0.7)):
        what = experiment(FULL)
        trial = study.ask(what, None)
        study.run(trial, what, loss, demo__average=score)
    found = pareto.front(comparison(view(study.complete())), goals)
    assert [row.label for row in found] == ["trial 0", "trial 1"]


def test_two_seeds_know_executed_flops_better_than_one(tmp_path: Path) -> None:
    study, full, pld = (
        Folder(tmp_path / "seeds", systems=["full", "pld"], reference="full"),
        experiment(FULL),
        experiment(PLD),
    )
    study.run(study.ask(full, "full"), full, 5.0)
    trial = study.ask(pld, "pld", seeds=(0, 1))
    for seed in (0, 1):
        study.run(trial, pld, 5.1, seed)
    cost = of(comparison(view(study.complete())), "pld").cost
    assert cost is not None
    assert cost.tolerance == pytest.approx((4 * executed_sigma(pld) / math.sqrt(2) + full_step(full)) / tflop(full))


@pytest.mark.parametrize("sampled", [False, True])
def test_the_leading_row_alone_equals_the_leading_row_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: bool
) -> None:
    seen = view(searched(tmp_path / "searched", trials=12))
    about = summary(seen)
    if sampled:
        best = next(row for row in comparison(seen) if row.system is None and "valid/loss" in row.metrics)
        about = replace(about, winner=Winner(best.trial, "recommended"))
        monkeypatch.setattr(comparisons, "summary", lambda _: about)
    whole, table, bare = comparison(seen), comparison(seen, leading=True), comparison(seen, leading=True, judged=False)
    first, alone, unjudged = leader(whole, about), leader(table, about), leader(bare, about)
    assert first is not None
    assert sum(row.system is None for row in whole) == 12
    assert [row.label for row in table if row.system is None] == [first.label] * sampled
    assert (first.shrunken is not None) == sampled
    for field in fields(SystemRow):
        if field.name not in ("model", "frontier"):  # `model` leaves out what all rows of the table share
            assert getattr(alone, field.name) == getattr(first, field.name), field.name
        if field.name not in ("model", "frontier", "differences", "shrunken", "margin"):
            assert getattr(unjudged, field.name) == getattr(first, field.name), field.name
    assert unjudged is not None
    assert not unjudged.differences
