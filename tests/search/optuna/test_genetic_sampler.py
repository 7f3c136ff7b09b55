"""`nsga2`: its population, and that it finds a front."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from pld_search.search.optuna.genetic_sampler import POPULATION, crowding, population
from pld_search.specs.yaml_io import load
from tests.search.optuna.test_gp_sampler import opened
from tests.search.optuna.test_optuna_study import record

UP_DOWN = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)


def trial(name: int, values: list[float], violation: float = -1.0) -> optuna.trial.FrozenTrial:
    distribution = optuna.distributions.IntDistribution(0, 1000)
    return create_trial(
        state=TrialState.COMPLETE,
        values=values,
        params={"x": name},
        distributions={"x": distribution},
        constraints={"limit": violation},
    )


def test_the_population_is_ordered_by_violation_front_and_crowding() -> None:
    trials = [
        trial(0, [1.0, 1.0]),  # dominated by 2
        trial(1, [0.0, 1.0]),  # an end of the front
        trial(2, [1.0, 2.0]),  # on the front, between 1 and 3 and near 3
        trial(3, [1.5, 2.4]),
        trial(4, [9.0, 9.0]),  # the other end of the front
        trial(5, [-5.0, 50.0], violation=2.0),  # better than all, and not allowed
        trial(6, [-5.0, 50.0], violation=1.0),
    ]
    assert [params["x"] for params in population(trials, UP_DOWN)] == [1, 4, 3, 2, 0, 6, 5]
    many = population(trials * 10, UP_DOWN)
    assert len(many) == POPULATION
    assert {params["x"] for params in many} == {1, 4, 2, 3}


def test_crowding_by_hand() -> None:
    found = crowding(np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 0.0]]))
    assert np.isinf(found[[0, 2]]).all()
    assert found[1] == pytest.approx(4 / 4 + 10 / 10)


def test_it_searches_along_the_front(tmp_path: Path) -> None:
    """Both objectives want another rate; between them lies the front, a sixth of the range."""
    tree = load("lr: {log: [1e-5, 1e-2]}\nother: {float: [0, 1]}\n", "s")
    shares = {}
    for sampler in ("nsga2", "random"):
        study, found = opened(tmp_path / sampler, sampler, ("minimize", "minimize")), []
        for _ in range(45):
            asked, _ = study.ask(tree)
            found.append(asked.params)
            study.tell(record(asked, ("COMPLETE", objectives(asked.params), {})))
        shares[sampler] = np.mean([-3.5 <= math.log10(each["lr"]) <= -3.0 and each["other"] < 0.3 for each in found])
    assert shares["nsga2"] > 3 * shares["random"]
    assert shares["random"] > 0


def objectives(params: dict[str, Any]) -> list[float]:
    exponent = math.log10(params["lr"])
    return [abs(exponent + place) + params["other"] for place in (3.5, 3.0)]
