"""The size that a search is done for, and the winner written as a study of that size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.spaces.domains import close, variants
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Study
from pld_search.spaces.target import at_target, target_budget
from pld_search.spaces.trained_architectures import architectures
from pld_search.spaces.winner_study import Rows, winning_study
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import dump

STUDY = """\
name: small
experiment:
  model: {layers: 4, hidden: 32, heads: 4, dropout: 0}
  data: {train: {text: [texts/*.txt, /far/*.txt, wiki/*.txt]}, tokenizer: ./vocab.txt, length: 32}
  batch: {sequences: 8}
  optimizer: {lr: {log: [1e-4, 1e-2]}, warmup: 2 %}
  evaluation: {tasks: [cola, {mine: ./task}]}
  schedule:
    choice:
      falling: {base: pld, temporal.end: {float: [0.3, 0.9]}}
      rising: {base: pld, temporal: {kind: linear, start: 0.5, end: 1.0}}
budget: {tokens: 25600, equal: flops}
systems:
  full: {schedule: full, optimizer.lr: 1e-3}
  shallow: {schedule: full, model.layers: 2, optimizer: {lr: 2e-3, clip: 0.5}}
reference: full
search: {trials: 3}
target: {set: {model: {hidden: 64}, model.layers: 8, batch.sequences: 16, budget.steps: 500}, runs: 3}
"""
PARAMS = {"optimizer.lr": 3e-3, "schedule": "falling", "schedule.falling.temporal.end": 0.7}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "small.yaml").write_text(STUDY)
    return load_study(tmp_path / "small.yaml")


def test_the_size_goes_on_top_and_its_budget_takes_the_place_of_another(study: Study) -> None:
    tree = at_target(study, study.tree_of("shallow"))
    assert (tree["model"]["hidden"], tree["model"]["layers"], tree["batch"]["sequences"]) == (64, 8, 16)
    assert tree["optimizer"]["clip"] == 0.5
    assert study.tree_of("shallow")["model"]["hidden"] == 32
    assert target_budget(study).model_dump(exclude_none=True) == {"steps": 500, "equal": "flops"}
    assert Study.from_definition(study.definition()) == study


def test_a_study_without_a_target_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY[: STUDY.index("target:")])
    found = load_study(tmp_path / "small.yaml")
    assert at_target(found, found.experiment) == found.experiment
    assert target_budget(found) == found.budget


def test_its_architecture_is_one_to_measure(study: Study) -> None:
    prepared = stand_in(check(ExperimentTemplate, variants(study.tree_of("full"))[0]))
    found = [(what.model.layers, what.model.hidden) for what in architectures(Resolver(study, prepared)).values()]
    assert found == [(4, 32), (2, 32), (8, 64)]


def written(study: Study, folder: Path, **rows: Any) -> Study:
    path = folder / "elsewhere" / "won.yaml"
    path.parent.mkdir()
    path.write_text(dump(winning_study(study, Rows(**rows), "won", ["wiki"])))
    return load_study(path)


def test_the_winner_as_a_study_is_read_again(study: Study, tmp_path: Path) -> None:
    reference, winner = variants(study.tree_of("full"))[0], close(study.experiment, PARAMS)
    found = written(study, tmp_path, reference=reference, winner=winner, pld=None)
    assert (found.name, found.reference, [system.name for system in found.systems]) == (
        "small-target",
        "full",
        ["full", "winner"],
    )
    assert found.budget == target_budget(study)
    assert found.search is None
    tree = found.tree_of("winner")
    assert tree["optimizer"]["lr"] == 3e-3
    assert found.tree_of("full")["optimizer"]["lr"] == 1e-3
    assert tree["schedule"]["temporal"]["end"] == 0.7
    assert tree["model"] == at_target(study, winner)["model"]
    assert [system.parameters for system in found.systems] == [{}, {}]


@pytest.mark.parametrize(("seeds", "own"), [(3, None), (1, 4)])
def test_its_rows_have_as_many_seeds(study: Study, tmp_path: Path, seeds: int, own: int | None) -> None:
    """The study's, or the most that a system of a study recorded by 0.1 had."""
    systems = [system.model_copy(update={"seeds": own}) for system in study.systems[:1]]
    many = study.model_copy(update={"seeds": seeds, "systems": (*systems, *study.systems[1:])})
    found = written(many, tmp_path, reference=variants(study.tree_of("full"))[0], winner=None, pld=None)
    assert found.seeds == (own or seeds)


def test_its_places_are_found_from_any_folder(study: Study, tmp_path: Path) -> None:
    found = written(study, tmp_path, reference=variants(study.tree_of("full"))[0], winner=None, pld=None)
    data = found.experiment["data"]
    assert data["train"]["text"] == [f"{tmp_path}/texts/*.txt", "/far/*.txt", "wiki/*.txt"]
    assert data["tokenizer"] == str(tmp_path / "vocab.txt")
    assert found.experiment["evaluation"]["tasks"] == ["cola", {"mine": str(tmp_path / "task")}]


def test_what_a_winner_does_not_say_is_written_out(study: Study, tmp_path: Path) -> None:
    """The reference states a clip of its own, the winner leaves the default: the new study must not give it the
    reference's.
    """
    reference = variants(study.tree_of("shallow"))[0]
    found = written(study, tmp_path, reference=reference, winner=close(study.experiment, PARAMS), pld=None)
    assert found.tree_of("full")["optimizer"]["clip"] == 0.5
    assert found.tree_of("winner")["optimizer"]["clip"] == 1.0


def test_each_row_trains_what_it_trained(study: Study, tmp_path: Path) -> None:
    """The digests of the new study are those of the rows at target size, built directly."""
    reference, winner = variants(study.tree_of("full"))[0], close(study.experiment, PARAMS)
    found = written(study, tmp_path, reference=reference, winner=winner, pld=None)
    prepared = stand_in(check(ExperimentTemplate, reference))
    direct = Resolver(
        study.model_copy(update={"budget": target_budget(study), "systems": (study.system("full"),)}), prepared
    )
    direct.study = direct.study.model_copy(
        update={"systems": (study.system("full").model_copy(update={"tree": at_target(study, reference)}),)}
    )
    again = Resolver(found, prepared)
    for name, tree in (("full", reference), ("winner", winner)):
        assert again.experiment(found.tree_of(name)).digest == direct.experiment(at_target(study, tree)).digest
