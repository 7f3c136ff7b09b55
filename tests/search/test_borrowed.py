"""A search that learns from earlier studies: what is taken over, recorded once, and weighted by the model."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pld_search.errors import ConfigError
from pld_search.records.study_events import StudyCreated, TrialAsked, TrialTold, ValuesBorrowed, read_study_events
from pld_search.search.averaged_process import possible
from pld_search.search.borrowed import MOST, borrowed_from, borrowed_values
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.ledger import Ledger
from pld_search.search.observed_runs import Observed
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

SEARCH = "search: {trials: 3, seed: 0, learn_from: [NAMES]}\n"


def learning(folder: Path, names: str = "first", more: str = SEARCH) -> Study:
    return small_study(folder, more.replace("NAMES", names))


def recorded(folder: Path, study: Study, exponents: list[float]) -> None:
    """An earlier study in which the rate 1e-3 was the best."""
    with closing(Ledger(folder)) as ledger:
        ledger.write(StudyCreated(id="x", name=folder.name, definition=study.definition(), starts=5))
        for number, exponent in enumerate(exponents):
            params = {"optimizer.lr": 10.0**exponent}
            ledger.write(TrialAsked(number, "sampled", None, "s", number, params, seeds=[0]))
            ledger.write(TrialTold(number, "COMPLETE", [7 + (exponent + 3) ** 2], {"divergence/diverged": 0.0}))


def first(folder: Path, exponents: list[float]) -> None:
    recorded(folder / "first", small_study(folder, SEARCH.replace("NAMES", "")), exponents)


def borrowed(folder: Path) -> list[ValuesBorrowed]:
    return [event for event in read_study_events(folder / "study.jsonl") if isinstance(event, ValuesBorrowed)]


def test_values_are_recorded_once_and_the_search_begins_with_its_start_of_their_best_value(tmp_path: Path) -> None:
    first(tmp_path, [-3.6, -3.0, -2.4, -1.0])  # the last lies outside the domain
    folder = tmp_path / "small"
    assert run(learning(tmp_path), folder, slots=1, launcher=InProcess(), poll=0) == 0
    (found,) = borrowed(folder)
    assert [each["name"] for each in found.studies] == ["first"]
    assert [value for _, value in found.studies[0]["values"]] == pytest.approx([7.36, 7.0, 7.36])
    asked = [event for event in read_study_events(folder / "study.jsonl") if isinstance(event, TrialAsked)]
    assert len(asked) == 3
    away = [abs(np.log10(event.params["optimizer.lr"]) + 3) for event in asked]
    assert away[0] == min(away)
    assert away[1] == max(away)
    shutil.rmtree(tmp_path / "first")  # it is not read again
    assert run(learning(tmp_path), folder, slots=1, launcher=InProcess(), poll=0) == 0
    assert len(borrowed(folder)) == 1


def test_other_studies_are_part_of_the_study(tmp_path: Path) -> None:
    first(tmp_path, [-3.6, -3.0])
    folder = tmp_path / "small"
    assert run(learning(tmp_path), folder, slots=1, launcher=InProcess(), poll=0) == 0
    with pytest.raises(ConfigError, match="learn_from"):
        run(small_study(tmp_path, "search: {trials: 3, seed: 0}\n"), folder, slots=1, launcher=InProcess(), poll=0)


def test_bad_studies_are_refused_at_once_and_nothing_is_begun(tmp_path: Path) -> None:
    first(tmp_path, [-1.0, -0.5, -3.0])
    other = small_study(tmp_path, "search: {trials: 3, objective: {minimize: train/loss}}\n")
    recorded(tmp_path / "other", other, [-3.0, -2.5])
    folder = tmp_path / "small"
    with pytest.raises(ConfigError) as refused:
        run(learning(tmp_path, "nowhere, first, other"), folder, slots=1, launcher=InProcess(), poll=0)
    text = str(refused.value)
    assert "search.learn_from[0]: no study has records there; given: nowhere" in text
    assert "search.learn_from[1]: 1 of its 3 results lie in this search's space, and two are needed" in text
    assert "search.learn_from[2]: that study's first objective is train/loss, this one's is valid/loss" in text
    assert not read_study_events(folder / "study.jsonl")


def test_of_many_values_the_best_and_the_newest_are_taken(tmp_path: Path) -> None:
    first(tmp_path, list(np.linspace(-4, -2, 100)))
    study = learning(tmp_path)
    found = borrowed_from(study, tmp_path / "small")
    assert found is not None
    values = [value for _, value in found.studies[0]["values"]]
    assert len(values) == MOST
    assert min(values) == pytest.approx(7.0, abs=1e-3)
    assert values[-1] == pytest.approx(8.0)  # the newest, and one of the worst


def test_maximised_values_are_turned_round(tmp_path: Path) -> None:
    first(tmp_path, [-3.6, -3.0])
    study = learning(tmp_path)
    with closing(Ledger(tmp_path / "small")) as ledger:
        found = borrowed_from(study, tmp_path / "small")
        assert found is not None
        ledger.write(found)
        seen = borrowed_values(ledger.study, -1.0, FlatSpace(study.experiment))
        assert seen is not None
        assert seen.values.tolist() == pytest.approx([-7.36, -7.0])
        assert seen.studies.tolist() == [1, 1]


ONES = np.ones(30, np.intp)


def valley(
    points: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(((points - 0.3) ** 2).sum(axis=1))


def other_study(sign: float) -> Observed:
    """Thirty ends in another unit; with `sign` -1 what is best here was worst there."""
    points = np.random.default_rng(5).random((30, 2))
    values = 40 + sign * 9 * valley(points)
    return Observed(points, values, np.ones(30), -100 - np.arange(30), ONES)


def own(count: int) -> Observed:
    points = np.random.default_rng(2).random((count, 2))
    return Observed.ends(points, valley(points))


def test_a_study_like_this_one_helps_from_few_values_on() -> None:
    at = np.random.default_rng(9).random((50, 2))
    alone, helped = GaussianProcess(own(5)), GaussianProcess(other_study(1.0).and_also(own(5)))
    errors = [np.abs(model.predict(at)[0] - valley(at)).mean() for model in (alone, helped)]
    assert errors[1] < 0.5 * errors[0]
    assert helped.parameters.kin[0] > np.log(0.6)


def test_many_values_may_use_the_lengths_of_a_misleading_study_and_hardly_its_values() -> None:
    at = np.random.default_rng(9).random((50, 2))
    misled = GaussianProcess(other_study(-1.0).and_also(own(12)))
    assert misled.parameters.kin[0] < np.log(0.15)
    alone = np.abs(GaussianProcess(own(12)).predict(at)[0] - valley(at)).mean()
    assert np.abs(misled.predict(at)[0] - valley(at)).mean() < alone


@pytest.mark.parametrize("count", [3, 6])
def test_a_misleading_study_changes_no_prediction(count: int) -> None:
    at = np.random.default_rng(9).random((50, 2))
    misled = GaussianProcess(other_study(-1.0).and_also(own(count)))
    assert misled.parameters.kin.tolist() == [-math.inf]
    for one, other in zip(misled.predict(at), GaussianProcess(own(count)).predict(at), strict=True):
        assert one == pytest.approx(other, rel=1e-6)


def test_of_two_studies_the_misleading_one_is_left_out() -> None:
    at, misleading = np.random.default_rng(9).random((50, 2)), other_study(-1.0)
    second = Observed(misleading.points, misleading.values, misleading.shares, misleading.runs - 100, 2 * ONES)
    both = GaussianProcess(other_study(1.0).and_also(second).and_also(own(5)))
    assert both.parameters.kin[0] > np.log(0.6)
    assert both.parameters.kin[1] == -math.inf
    helped = GaussianProcess(other_study(1.0).and_also(own(5)))
    assert both.predict(at)[0] == pytest.approx(helped.predict(at)[0], rel=1e-4)


def test_draws_of_parameters_leave_a_misleading_study_out_too() -> None:
    seen, columns = other_study(-1.0).and_also(own(6)), np.arange(2)
    draws = possible(seen, columns)
    assert len(draws) > 1
    assert {float(each.kin[0]) for each in draws} == {-math.inf}
