"""A grid of rates in a study's file: what it opens, what is refused, what a continuation may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.app.run_commands import Commands
from pld_search.errors import ConfigError
from pld_search.spaces.asking_order import trial_numbers
from pld_search.spaces.domains import Number, close
from pld_search.spaces.study import Study
from pld_search.spaces.study_identity import differences
from tests.search.studies import small_study

ROWS = "systems: {{full: {{schedule: full}}, pld: {{schedule: pld, {}}}}}\nreference: full\nseeds: 2\n"
GRID = "tune: {optimizer.lr: [4e-3, 1e-3, 2e-3]}"


def study(folder: Path, row: str = GRID) -> Study:
    return small_study(folder, ROWS.format(row), lr="1e-3")


def test_a_grid_opens_the_rate_between_its_ends(tmp_path: Path) -> None:
    found = study(tmp_path).system("pld")
    assert (found.rates, found.tune, found.tuning_trials) == ((1e-3, 2e-3, 4e-3), None, 3)
    assert found.parameters == {"optimizer.lr": Number(kind="log", low=1e-3, high=4e-3)}
    assert close(found.tree, {"optimizer.lr": 1.83e-3})["optimizer"]["lr"] == 1.83e-3
    assert Study.from_definition(study(tmp_path).definition()) == study(tmp_path)


def test_its_row_is_asked_after_its_runs(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert trial_numbers(found) == {"full": [0], "pld": [1, 2, 3, 4]}
    places = [command.split(str(tmp_path))[1].split()[0] for command in Commands(found, tmp_path, 1).of_system("pld")]
    tuning = [f"/trials/000{number}/seed-2000" for number in (1, 2, 3)]
    assert [place.removesuffix("/experiment.yaml") for place in places] == [
        *tuning,
        "/trials/0004/seed-0",
        "/trials/0004/seed-1",
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("tune: {optimizer.lr: [1e-3, 2e-3]}", "systems.pld.tune.optimizer.lr: needs at least 3 items"),
        ("tune: {optimizer.lr: [1e-3, 1e-3, 2e-3]}", "systems.pld.tune.optimizer: the same learning rate twice"),
        (
            "tune: {optimizer.lr: [0, 1e-3, 2e-3]}",
            "systems.pld.tune.optimizer.lr[0]: out of range; allowed: > 0; given: 0",
        ),
        ("tune: {optimizer.beta1: [0.8, 0.9, 0.95]}", "systems.pld.tune.optimizer.beta1: unknown key; allowed: lr"),
        (f"optimizer.lr: 1e-3, {GRID}", "systems.pld.optimizer.lr: its rates stand in tune;"),
        (f"batch.sequences: {{int: [8, 16]}}, {GRID}", "a domain that this system leaves open;"),
    ],
)
def test_what_is_refused(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        study(tmp_path, row)
    assert said in str(error.value)


def test_another_grid_is_another_study(tmp_path: Path) -> None:
    one, two = study(tmp_path), study(tmp_path, GRID.replace("2e-3", "3e-3"))
    assert differences(one, study(tmp_path)) == []
    assert differences(one, two) == ["tune.pld.optimizer.lr[1]: 0.002 -> 0.003"]
    assert differences(study(tmp_path, "optimizer.lr: 1e-3"), one) != []
