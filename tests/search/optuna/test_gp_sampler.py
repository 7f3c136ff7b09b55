"""`gp` on conditional spaces: starts, repeats, rebuilt askers, what counts as seen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from pld_search.search.optuna.distributions import as_observed
from pld_search.search.optuna.gp_sampler import Seen
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.storage import JOURNAL, open_storage, open_study
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.specs.yaml_io import load
from tests.search.optuna.test_optuna_study import GRID, SPACE, record

TREE = load(SPACE, "s")


def opened(folder: Path, sampler: str = "gp", directions: tuple[str, ...] = ("minimize",)) -> OptunaStudy:
    folder.mkdir(exist_ok=True)
    return OptunaStudy(open_study(open_storage(folder), "s", "id-1", directions), sampler, 0, starts=5)


def loss(params: dict[str, Any]) -> float:
    """Least, 0, at lr 1e-3 with `flat` at 0.3."""
    off = (params["shape.flat.value"] - 0.3) ** 2 if params["shape"] == "flat" else 0.5
    return (math.log10(params["lr"]) + 3) ** 2 + 2 * off


def searched(study: OptunaStudy, tree: Any, count: int, observed: Any = ()) -> list[Any]:
    records = []
    for _ in range(count):
        asked, _ = study.ask(tree, observed=observed)
        told = record(asked, ("COMPLETE", [loss(asked.params)], {"divergence/diverged": 0.0}))
        study.tell(told)
        records.append(told)
    return records


def test_it_finds_a_conditional_optimum_and_never_asks_twice(tmp_path: Path) -> None:
    found = searched(opened(tmp_path), TREE, 16)
    assert min(loss(each.params) for each in found) < 0.05
    assert len({key_of(each.params) for each in found}) == 16
    for each in found:
        branch = {name for name in each.params if name.startswith("shape.")}
        assert branch == (
            {"shape.flat.value"} if each.params["shape"] == "flat" else {"shape.rising.end", "shape.rising.layers"}
        )


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_rebuilt_asker_goes_on_as_one_that_never_died(tmp_path: Path, sampler: str) -> None:
    straight = searched(opened(tmp_path / "a", sampler), TREE, 9)
    first = searched(opened(tmp_path / "b", sampler), TREE, 7)
    (tmp_path / "b" / JOURNAL).unlink()
    again = opened(tmp_path / "b", sampler)
    again.reconcile(first)
    assert [each.params for each in first + searched(again, TREE, 2)] == [each.params for each in straight]


def test_tpe_and_gp_begin_with_the_same_space_filling_questions(tmp_path: Path) -> None:
    one, other = (searched(opened(tmp_path / sampler, sampler), TREE, 6) for sampler in ("gp", "tpe"))
    assert [each.params for each in one[:5]] == [each.params for each in other[:5]]
    assert one[5].params != other[5].params


def test_a_finite_space_is_visited_once_before_anything_is_asked_again(tmp_path: Path) -> None:
    tree, study, keys = load(GRID, "s"), opened(tmp_path), []
    for number in range(9):
        asked, _ = study.ask(tree)
        keys.append(key_of(asked.params))
        study.tell(record(asked, ("COMPLETE", [float(number)], {})))
    assert len(set(keys)) == 9
    study.ask(tree)  # all are known: a repeat, no error


def test_observations_from_outside_are_learned_from(tmp_path: Path) -> None:
    space = FlatSpace(TREE)
    known = [
        {"lr": 10.0**exponent, "shape": "flat", "shape.flat.value": value}
        for exponent in (-3.5, -3.0, -2.5)
        for value in (0.1, 0.3, 0.5, 0.7)
    ]
    observed = [as_observed(params, loss(params), space) for params in known]
    found = searched(opened(tmp_path), TREE, 6, observed)
    assert loss(found[5].params) < 0.1


def trial(state: TrialState, value: float | None = None, step: float | None = None, violated: bool = False) -> Any:
    return create_trial(
        state=state,
        value=value,
        params={"x": len(str(value)) / 10},
        distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
        intermediate_values={} if step is None else {1: step},
        constraints={"memory": 1.0} if violated else {},
    )


def test_what_trials_have_shown() -> None:
    trials = [
        trial(TrialState.COMPLETE, 5.0, 5.5),
        trial(TrialState.COMPLETE, 4.0, 4.3),
        trial(TrialState.PRUNED, step=6.0),  # stopped at a rung: seen there
        trial(TrialState.PRUNED, violated=True),  # as bad as the worst
        trial(TrialState.RUNNING),
        trial(TrialState.FAIL),
    ]
    seen = Seen.of(trials, [StudyDirection.MINIMIZE], np.random.default_rng(0), {1: 0.25})
    assert [value for _, value in seen.ends] == [5.0, 4.0, 5.0]
    assert [(end, values) for _, end, values in seen.rungs] == [(0, {0.25: 5.5}), (1, {0.25: 4.3}), (None, {0.25: 6.0})]
    assert len(seen.pending) == 1
    assert [params["x"] for params in seen.best(2)] == [trials[1].params["x"], trials[0].params["x"]]
    maximized = Seen.of(trials[:2], [StudyDirection.MAXIMIZE], np.random.default_rng(0), {})
    assert [value for _, value in maximized.ends] == [-5.0, -4.0]
    observed = seen.observed(FlatSpace(load("x: {float: [0, 1]}", "s")))
    assert sorted(zip(observed.runs, observed.shares, observed.values, strict=True)) == [
        (0, 0.25, 5.5),
        (0, 1.0, 5.0),
        (1, 0.25, 4.3),
        (1, 1.0, 4.0),
        (2, 1.0, 5.0),
        (5, 0.25, 6.0),
    ]


def test_several_objectives_are_weighed_anew(tmp_path: Path) -> None:
    study, keys = opened(tmp_path, directions=("minimize", "maximize")), set()
    for _ in range(8):
        asked, _ = study.ask(TREE)
        study.tell(
            record(asked, ("COMPLETE", [loss(asked.params), asked.params["lr"]], {"limit": asked.params["lr"] - 5e-3}))
        )
        keys.add(key_of(asked.params))
    assert len(keys) == 8


def test_what_is_known_beforehand_comes_first_and_is_believed_less_and_less(tmp_path: Path) -> None:
    tree = load(
        "lr: {log: [1e-4, 1e-2], prior: 3e-3}\nshape: {choice: {flat: {value: {float: [0, 1]}}, none: {}}}", "s"
    )
    given = ({"shape": "flat", "shape.flat.value": 0.25}, {"lr": 1e-3})
    for sampler in ("gp", "tpe", "random"):
        folder = tmp_path / sampler
        folder.mkdir()
        opened = open_study(open_storage(folder), "s", "id-1", ("minimize",))
        study, asked = OptunaStudy(opened, sampler, 0, starts=5, given=given), []
        for _ in range(6):
            question, _ = study.ask(tree)
            study.tell(record(question, ("COMPLETE", [1.0], {})))
            asked.append(question.params)
        assert (asked[0]["shape"], asked[0]["shape.flat.value"]) == ("flat", 0.25)
        assert asked[1]["lr"] == 1e-3
        assert asked[2]["lr"] == pytest.approx(3e-3)
        assert len({params["lr"] for params in asked}) > 3


def test_a_belief_is_highest_at_the_prior() -> None:
    space = FlatSpace(
        load("lr: {log: [1e-4, 1e-2], prior: 1e-3}\nnorm: {choice: [pre, post], prior: pre}\nx: {int: [1, 3]}", "s")
    )
    assert space.expected() == {"lr": pytest.approx(1e-3), "norm": "pre"}
    best = space.believed({"lr": 1e-3, "norm": "pre", "x": 1})
    assert best == pytest.approx(0.0)
    assert (
        space.believed({"lr": 1e-2, "norm": "pre", "x": 1}) < space.believed({"lr": 2e-3, "norm": "pre", "x": 3}) < best
    )
    assert space.believed({"lr": 1e-3, "norm": "post", "x": 1}) == pytest.approx(-math.log(4))
