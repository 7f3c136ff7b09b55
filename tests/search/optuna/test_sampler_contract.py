"""What every sampler of the search must do, whatever it is and however many objectives there are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pld_search.records.trial_record import Question
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.storage import JOURNAL, open_storage, open_study
from pld_search.spaces.domains import parameters
from pld_search.specs.yaml_io import load
from tests.search.optuna.test_optuna_study import SPACE, record

TREE = load(SPACE, "s")
ONE, TWO = ("minimize",), ("minimize", "maximize")


def opened(folder: Path, sampler: str, directions: tuple[str, ...]) -> OptunaStudy:
    folder.mkdir(exist_ok=True)
    return OptunaStudy(open_study(open_storage(folder), "s", "id-1", directions), sampler, 0, starts=5)


def searched(study: OptunaStudy, count: int, directions: tuple[str, ...]) -> list[Question]:
    """Some trials violate a constraint, and every fifth failed for good."""
    found = []
    for _ in range(count):
        asked, _ = study.ask(TREE)
        values = [(math.log10(asked.params["lr"]) + 3) ** 2, asked.params["lr"]][: len(directions)]
        told = ("COMPLETE", values, {"limit": asked.params["lr"] - 5e-3})
        question = record(asked, ("FAIL", None, {}) if asked.number % 5 == 4 else told)
        study.tell(question)
        found.append(question)
    return found


@pytest.mark.parametrize("directions", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("sampler", ["gp", "tpe", "nsga2", "random"])
class TestSampler:
    def test_values_lie_in_their_domains_and_in_the_chosen_branch(
        self, tmp_path: Path, sampler: str, directions: tuple[str, ...]
    ) -> None:
        domains = parameters(TREE)
        branches = {"flat": {"shape.flat.value"}, "rising": {"shape.rising.end", "shape.rising.layers"}}
        found = searched(opened(tmp_path, sampler, directions), 14, directions)
        assert len(found) == 14
        for question in found:
            assert {*question.params} == {"lr", "shape", *branches[question.params["shape"]]}
            assert all(domains[name].holds(value) for name, value in question.params.items())
        assert len({str(question.params) for question in found}) == 14  # no question was put twice

    def test_a_rebuilt_asker_goes_on_as_one_that_never_died(
        self, tmp_path: Path, sampler: str, directions: tuple[str, ...]
    ) -> None:
        straight = searched(opened(tmp_path / "a", sampler, directions), 10, directions)
        first = searched(opened(tmp_path / "b", sampler, directions), 8, directions)
        (tmp_path / "b" / JOURNAL).unlink()
        again = opened(tmp_path / "b", sampler, directions)
        again.reconcile(first)
        went_on: list[Any] = first + searched(again, 2, directions)
        assert [each.params for each in went_on] == [each.params for each in straight]
