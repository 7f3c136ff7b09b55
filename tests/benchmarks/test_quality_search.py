"""Simulated searches over made-up tables, by costs worked out by hand, and against the coordinator itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality_halving import Halving
from benchmarks.quality_search import Method, Run, SimulatedSearch, Table, key_of, rank_correlations
from pld_search.records.study_record import view
from pld_search.search.sampling import STARTS
from pld_search.spaces.early_stopping import Asha, EarlyStopping, Hyperband, Promotion
from tests.search.fake_trainer import loss_of
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

SHARES = (0.1, 0.3)
RULES: dict[str, EarlyStopping | None] = {
    "null": None,
    "{kind: promotion, min: 10 %, eta: 3}": Promotion(kind="promotion", min=0.1, eta=3),
    "{kind: asha, min: 10 %, eta: 3}": Asha(kind="asha", min=0.1, eta=3),
    "{kind: hyperband, min: 10 %, eta: 3}": Hyperband(kind="hyperband", min=0.1, eta=3),
}


def made_up(count: int, *, trunk_misleads: bool = False) -> Table:
    """Configurations x = 0 .. count - 1 of losses 3 + x / 10; a full run costs 2 TFLOP, its trunk up to a share that
    share, a branch a fifth of it.
    """
    runs = {}
    for x in range(count):
        loss = 3 + x / 10
        trunk = {share: (-loss if trunk_misleads else loss, 2 * share) for share in SHARES}
        branch = {share: (loss + 1, 2 * share / 5) for share in SHARES}
        runs[key_of({"x": x})] = Run(
            f"digest {x}", loss, 2.0, {share: int(100 * share) for share in SHARES}, trunk, branch
        )
    return Table({"x": {"choice": list(range(count))}}, runs)


def test_regret_is_0_for_the_best_and_1_for_the_middle() -> None:
    table = made_up(9)
    assert [table.regret(loss) for loss in (3.0, 3.4, 3.8)] == pytest.approx([0, 1, 2])
    assert made_up(4).regret(3.15) == pytest.approx(1)


def test_a_search_without_stops_costs_a_run_for_each_configuration_it_saw_and_nothing_for_one_it_saw_before() -> None:
    repeated = 0
    for seed in range(8):
        search = SimulatedSearch(made_up(9), Method("random", "random"), seed, trials=60)
        found = search.run(0.0)
        drawn = [trial.asked.params["x"] for trial in search.trials]
        assert found.cost_to(0.0) == found.cost == found.finished == len(set(drawn))
        assert drawn.index(0) == len(drawn) - 1
        repeated += len(drawn) > len(set(drawn))
        assert [trial.told and trial.told.values for trial in search.trials[:-1]] == [[3 + x / 10] for x in drawn[:-1]]
    assert repeated


def test_promotion_costs_trunks_and_branches_up_to_where_each_run_got() -> None:
    search = SimulatedSearch(
        made_up(9), Method("each once", "bruteforce", Promotion(kind="promotion", min=0.1, eta=3)), 0, trials=9
    )
    found = search.run()
    assert (found.asked, found.finished) == (9, 1)
    assert found.branches == pytest.approx(9 * 0.02 + 3 * 0.06)
    assert found.cost == pytest.approx(9 * 0.1 + 3 * 0.2 + 0.7 + found.branches)
    assert sorted(trial.promoted for trial in search.trials) == [0] * 6 + [1] * 2 + [2]


def test_the_best_trial_ends_when_nobody_is_due() -> None:
    found = SimulatedSearch(
        made_up(9), Method("each once", "bruteforce", Promotion(kind="promotion", min=0.1, eta=3)), 0, trials=2
    ).run()
    assert (found.asked, found.finished) == (2, 1)
    assert found.cost == pytest.approx(2 * 0.12 + 0.26 + 0.7)


@pytest.mark.parametrize("slots", [2, 4])
def test_with_several_slots_a_search_costs_what_all_slots_computed_until_then(slots: int) -> None:
    search = SimulatedSearch(made_up(9), Method("each once", "bruteforce"), 0, trials=9, slots=slots)
    found = search.run(0.0)
    asked = [trial.asked.params["x"] for trial in search.trials]
    rounds = asked.index(0) // slots + 1  # equal runs: all slots end at the same time
    # of the runs that end with the best one, a slot's next run has not begun when the best one is seen
    assert found.cost_to(0.0) == pytest.approx(min(rounds * slots, 9))
    assert search.run().finished == 9


def test_promotion_with_slots_trains_what_it_trains_with_one() -> None:
    found = SimulatedSearch(
        made_up(9), Method("each once", "bruteforce", Promotion(kind="promotion", min=0.1, eta=3)), 0, trials=9, slots=9
    ).run()
    assert (found.asked, found.finished) == (9, 1)
    assert found.branches == pytest.approx(9 * 0.02 + 3 * 0.06)
    assert found.cost == pytest.approx(9 * 0.1 + 3 * 0.2 + 0.7 + found.branches)


def test_promotion_ranks_by_branches_and_stops_by_trunks() -> None:
    table = made_up(27, trunk_misleads=True)
    costs = {
        kind: [
            SimulatedSearch(table, Method(kind, "random", RULES[kind]), seed, trials=200).run(0.2).cost_to(0.2)
            for seed in range(6)
        ]
        for kind in ("{kind: promotion, min: 10 %, eta: 3}", "{kind: asha, min: 10 %, eta: 3}")
    }
    assert all(math.isfinite(cost) for cost in costs["{kind: promotion, min: 10 %, eta: 3}"])
    assert sum(math.isinf(cost) for cost in costs["{kind: asha, min: 10 %, eta: 3}"]) >= 3
    assert rank_correlations(table) == [
        {"share": share, "trunk": pytest.approx(-1), "branch": pytest.approx(1)} for share in SHARES
    ]


@pytest.mark.parametrize("seed", range(3))
def test_promotion_alone_costs_and_finds_what_the_search_does_for_the_same_order(seed: int) -> None:
    table, rule = made_up(27), Promotion(kind="promotion", min=0.1, eta=3)
    search = SimulatedSearch(table, Method("each once", "bruteforce", rule), seed, trials=27)
    found = search.run()
    order = [table.find(trial.asked.params) for trial in search.trials]
    alone = Halving(table, order, rule).run()
    assert (alone.asked, alone.finished) == (found.asked, found.finished) == (27, 3)
    assert [tuple(pair) for pair in alone.better] == [pytest.approx(pair) for pair in found.better]
    assert (alone.cost, alone.branches) == pytest.approx((found.cost, found.branches))


def _decided(trials: Any) -> list[Any]:
    """What was asked, judged and told, trial by trial."""
    return [
        (
            trial.asked.params,
            [rung.values for rung in trial.rungs],
            trial.promoted,
            trial.told.state,
            trial.told.values,
        )
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_it_decides_what_the_coordinator_decides(tmp_path: Path, rule: str) -> None:
    search = f"search: {{sampler: tpe, trials: 16, seed: 5, early_stopping: {rule}}}\n"
    study = small_study(
        tmp_path,
        search,
        lr="{float: [1e-4, 2e-3], step: 1e-4}",
        sets=["name=quality-5", "optimizer.shape=wsd", "optimizer.decay=20 %"],
    )
    assert run(study, tmp_path / "real", slots=1, launcher=InProcess(), poll=0) == 0
    real = view(tmp_path / "real").study.trials.values()

    rates = [round(1e-4 * k, 10) for k in range(1, 21)]
    runs = {key_of({"optimizer.lr": lr}): _as_the_fake_trainer(lr) for lr in rates}
    simulated = SimulatedSearch(
        Table({"optimizer": {"lr": {"float": [1e-4, 2e-3], "step": 1e-4}}}, runs),
        Method(rule, "tpe", RULES[rule]),
        5,
        trials=16,
        starts=STARTS,
    )
    simulated.run()
    assert len({trial.asked.params["optimizer.lr"] for trial in real}) > 8
    assert _decided(simulated.trials) == [
        pytest.approx(each) if isinstance(each, float) else each for each in _decided(real)
    ]


def _as_the_fake_trainer(lr: float) -> Run:
    seen = {share: (9 - lr, share) for share in SHARES}
    return Run(
        str(lr),
        loss_of(lr, 0),
        1.0,
        {share: int(40 * share) for share in SHARES},
        seen,
        {share: (loss_of(lr, 0) + 1, share / 5) for share in SHARES},
    )
