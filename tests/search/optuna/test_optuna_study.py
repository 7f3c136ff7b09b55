from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from pld_search.errors import StudyError
from pld_search.records.study_events import TrialTold
from pld_search.records.trial_record import Question
from pld_search.search.optuna.distributions import distribution_of
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.storage import JOURNAL, close_storage, open_storage, open_study
from pld_search.search.sampling import Asked
from pld_search.spaces import domains
from pld_search.spaces.domains import Choice, Number, size
from pld_search.specs.yaml_io import load

SPACE = """
lr: {log: [1e-4, 1e-2]}
shape:
  choice:
    flat: {value: {float: [0.1, 0.9]}}
    rising: {end: {float: [0.5, 1.0], step: 0.1}, layers: {int: [2, 8], step: 2}}
"""
GRID = "a: {int: [1, 3]}\nb: {choice: {x: {c: {choice: [u, v]}}, y: {d: 1}}}\n"


def opened(
    folder: Path, sampler: str = "tpe", seed: int = 0, directions: tuple[str, ...] = ("minimize",)
) -> OptunaStudy:
    return OptunaStudy(open_study(open_storage(folder), "s", "id-1", directions), sampler, seed)


def record(asked: Asked, told: tuple[str, list[float] | None, dict[str, float]] | None = None) -> Question:
    params, distributions = json.loads(json.dumps([asked.params, asked.distributions]))
    return Question(
        asked.number,
        params,
        distributions,
        None if told is None else TrialTold(0, told[0], told[1], told[2]),
    )


def value(params: dict[str, Any]) -> float:
    return params["lr"] * 100 + (params["shape"] == "flat")


def asked_and_told(study: OptunaStudy, tree: Any, count: int) -> list[Question]:
    records = []
    for _ in range(count):
        question, _ = study.ask(tree)
        told = ("COMPLETE", [value(question.params)], {"divergence/diverged": 0.0})
        study.tell(record(question, told))
        records.append(record(question, told))
    return records


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Choice(options=("a", 2, True)), optuna.distributions.CategoricalDistribution(("a", 2, True))),
        (Number(kind="int", low=1, high=9, step=2), optuna.distributions.IntDistribution(1, 9, step=2)),
        (Number(kind="int", low=1, high=9), optuna.distributions.IntDistribution(1, 9)),
        (Number(kind="float", low=0.5, high=1, step=0.25), optuna.distributions.FloatDistribution(0.5, 1.0, step=0.25)),
        (
            Number(kind="log", low=1e-4, high=1e-2, unit="/ run"),
            optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True),
        ),
    ],
)
def test_domains_as_distributions(domain: Choice | Number, expected: Any) -> None:
    assert distribution_of(domain) == expected


def test_only_the_chosen_branch_is_asked(tmp_path: Path) -> None:
    study, tree = opened(tmp_path, "random"), load(SPACE, "s")
    seen = set()
    for _ in range(12):
        question, drawn = study.ask(tree)
        seen.add(branch := question.params["shape"])
        assert set(question.params) == {"lr", "shape"} | (
            {"shape.flat.value"} if branch == "flat" else {"shape.rising.end", "shape.rising.layers"}
        )
        assert drawn["lr"] == question.params["lr"]
    assert seen == {"flat", "rising"}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_rebuilt_asker_goes_on_as_one_that_never_died(tmp_path: Path, sampler: str) -> None:
    tree = load(SPACE, "s")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = asked_and_told(opened(tmp_path / "a", sampler), tree, 14)
    first = asked_and_told(opened(tmp_path / "b", sampler), tree, 12)
    (tmp_path / "b" / JOURNAL).unlink()  # lost: rebuilt from the records
    again = opened(tmp_path / "b", sampler)
    again.reconcile(first)
    assert [r.params for r in first + asked_and_told(again, tree, 2)] == [r.params for r in straight]
    (tmp_path / "c").mkdir()
    other = asked_and_told(opened(tmp_path / "c", sampler, seed=1), tree, 2)
    assert [r.params for r in other] != [r.params for r in straight[:2]]


def test_brute_force_visits_every_point_once_also_after_a_death_while_asking(tmp_path: Path) -> None:
    tree = load(GRID, "s")
    count = size(tree)
    assert count == 9
    study, records = opened(tmp_path, "bruteforce"), []
    for number in range(count):
        if number in (3, 6):

            def die_early(tree: Any, suggest: Any) -> None:
                suggest("a", Number(kind="int", low=1, high=3))
                raise KeyboardInterrupt

            with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(domains, "sample", die_early)
                study.ask(tree)
            study = opened(tmp_path, "bruteforce")
            study.reconcile(records)
        question, _ = study.ask(tree)
        assert question.number == number
        told = ("PRUNED", None, {"forecast": 1.0}) if number % 2 else ("COMPLETE", [1.0], {})
        study.tell(record(question, told))
        records.append(record(question, told))
    assert len({json.dumps(r.params, sort_keys=True) for r in records}) == count


def test_telling_twice_changes_nothing_and_constraints_arrive(tmp_path: Path) -> None:
    study, tree = opened(tmp_path), load(SPACE, "s")
    records = asked_and_told(study, tree, 2)
    study.reconcile(records)
    question, _ = study.ask(tree)
    told = ("COMPLETE", [6.9], {"divergence/diverged": 1.0})
    again = opened(tmp_path)
    again.reconcile([*records, record(question, told)])  # told in the records, not in the storage
    stored = open_study(open_storage(tmp_path), "s", "id-1", ("minimize",)).get_trials()
    assert [trial.state.name for trial in stored] == ["COMPLETE"] * 3
    assert stored[2].constraints == {"divergence/diverged": 1.0}
    assert stored[2].values == [6.9]


def test_several_objectives(tmp_path: Path) -> None:
    study, tree = opened(tmp_path, directions=("minimize", "maximize")), load(SPACE, "s")
    question, _ = study.ask(tree)
    study.tell(record(question, ("COMPLETE", [1.0, 2.0], {})))
    with pytest.raises(StudyError, match="other objectives"):
        opened(tmp_path)


def test_a_storage_of_another_study_is_refused(tmp_path: Path) -> None:
    study, tree = opened(tmp_path), load(SPACE, "s")
    records = asked_and_told(study, tree, 2)
    with pytest.raises(StudyError, match="another study named 's'"):
        open_study(open_storage(tmp_path), "s", "id-2", ("minimize",))
    with pytest.raises(StudyError, match="does not know"):
        opened(tmp_path).reconcile(records[:1])
    records[0].params["lr"] = 0.005
    with pytest.raises(StudyError, match="disagrees"):
        opened(tmp_path).reconcile(records)


@pytest.mark.parametrize("tail", [b'{"op_code": 4, "work', b"\x00" * 30, b""])
def test_a_torn_journal_is_repaired(tmp_path: Path, tail: bytes) -> None:
    tree = load(SPACE, "s")
    records = asked_and_told(opened(tmp_path), tree, 2)
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes() + tail)
    (tmp_path / f"{JOURNAL}.lock").symlink_to(journal)
    study = opened(tmp_path)
    study.reconcile(records)
    assert len(asked_and_told(study, tree, 2)) == 2
    assert len(open_study(open_storage(tmp_path), "s", "id-1", ("minimize",)).get_trials()) == 4


def test_a_broken_journal_is_set_aside_and_built_again(tmp_path: Path) -> None:
    tree = load(SPACE, "s")
    records = asked_and_told(opened(tmp_path), tree, 2)
    journal = tmp_path / JOURNAL
    journal.write_bytes(b"garbage\n" + journal.read_bytes())
    study = opened(tmp_path)
    study.reconcile(records)
    question, _ = study.ask(tree)
    assert question.number == 2
    assert (tmp_path / f"{JOURNAL}.broken-1").exists()


def test_a_database_by_url(tmp_path: Path) -> None:
    storage = open_storage(tmp_path, f"sqlite:///{tmp_path}/optuna.db")
    study = OptunaStudy(open_study(storage, "s", "id-1", ("minimize",)), "tpe", 0)
    assert len(asked_and_told(study, load(SPACE, "s"), 1)) == 1
    assert not (tmp_path / JOURNAL).exists()
    close_storage(storage)


@pytest.mark.parametrize(("starts", "state"), [(None, "FAIL"), (5, "PRUNED")])
def test_what_was_given_up_is_told_as_violating_a_constraint(tmp_path: Path, starts: int | None, state: str) -> None:
    study = OptunaStudy(open_study(open_storage(tmp_path), "s", "id-1", ("minimize",)), "tpe", 0, starts=starts)
    asked, _ = study.ask(load(SPACE, "s"))
    told = record(asked, ("FAIL", None, {}))
    study.tell(told)
    study.tell(told)
    (stored,) = open_study(open_storage(tmp_path), "s", "id-1", ("minimize",)).get_trials()
    assert stored.state.name == state
    assert stored.constraints == ({} if starts is None else {"given up": 1.0})
    study.again(Question(1, told.params, told.distributions, None))  # a new chance, under a new number
    assert study.free_number == 2
