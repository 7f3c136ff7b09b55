"""What reaches Optuna's storage, and how often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pld_search.errors import StudyError
from pld_search.records.study_events import TrialTold
from pld_search.records.trial_record import Question
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.storage import StorageAway, close_storage, open_storage, open_study
from pld_search.specs.yaml_io import load

SPACE = "{lr: {log: [1e-4, 1e-2]}, end: {float: [0.1, 0.9]}}"


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    return open_storage(tmp_path)


def study_in(storage: BaseStorage, seed: int = 0) -> OptunaStudy:
    return OptunaStudy(open_study(storage, "s", "id", ("minimize",)), "tpe", seed)


def told(question: Any, value: float | None) -> Question:
    state = "PRUNED" if value is None else "COMPLETE"
    record = TrialTold(0, state, None if value is None else [value], {"divergence/diverged": 0.0})
    return Question(question.number, question.params, question.distributions, record, {1: 7.0, 3: 6.5})


def states(storage: BaseStorage) -> list[tuple[str, list[float] | None, int]]:
    trials = storage.get_all_trials(storage.get_study_id_from_name("s"))
    return [(trial.state.name, trial.values, len(trial.params)) for trial in trials]


def failing(study: OptunaStudy, monkeypatch: pytest.MonkeyPatch, name: str, *, after: bool) -> Callable[[], None]:
    """The storage's method fails before or after it did its work, until the function that is returned is called."""
    inner = study._stored._storage
    real = getattr(inner, name)

    def broken(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise StorageInternalError("gone")

    monkeypatch.setattr(inner, name, broken)
    return lambda: monkeypatch.setattr(inner, name, real)


@pytest.mark.parametrize("after", [False, True])
def test_a_question_whose_write_broke_off_is_put_once(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    study, tree = study_in(storage), load(SPACE, "s")
    first, _ = study.ask(tree)
    mend = failing(study, monkeypatch, "create_new_trial", after=after)
    for _ in range(1 if after else 2):  # once it is read again, what was taken is seen to be there
        with pytest.raises(StorageAway):
            study.ask(tree)
    mend()
    second, _ = study.ask(tree)
    assert (first.number, second.number) == (0, 1)
    assert first.params != second.params
    assert states(storage) == [("RUNNING", None, 2)] * 2


@pytest.mark.parametrize("method", ["set_trial_system_attr", "set_trial_intermediate_value", "set_trial_state_values"])
@pytest.mark.parametrize("after", [False, True])
def test_an_end_whose_write_broke_off_is_told_once(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch, method: str, after: bool
) -> None:
    study, tree = study_in(storage), load(SPACE, "s")
    questions = [study.ask(tree)[0] for _ in range(2)]
    mend = failing(study, monkeypatch, method, after=after)
    study.tell(told(questions[0], 5.0))
    study.tell(told(questions[1], None))
    # the last write: seen to be there
    with nullcontext() if (after and method == "set_trial_state_values") else pytest.raises(StorageAway):
        study.settle()
    mend()
    study.settle()
    assert states(storage) == [("COMPLETE", [5.0], 2), ("PRUNED", [6.5], 2)]


def test_a_number_without_a_question_is_filled_by_the_next(storage: BaseStorage) -> None:
    """The coordinator died before it recorded question 0, and its storage is lost; question 1 is known."""
    study, tree = study_in(storage), load(SPACE, "s")
    due, _ = study_in(InMemoryStorage()).ask(tree)
    study.reconcile([Question(1, {"lr": 1e-3, "end": 0.5}, due.distributions, None)])
    assert states(storage) == []  # brought at the first need
    question, _ = study.ask(tree)
    assert (question.number, question.params) == (0, due.params)
    assert states(storage) == [("RUNNING", None, 2)] * 2


def test_a_study_that_somebody_else_uses_is_noticed(storage: BaseStorage) -> None:
    study, other, tree = study_in(storage), study_in(storage, seed=1), load(SPACE, "s")
    study.ask(tree)
    with pytest.raises(StudyError, match="its trial 0 is not the expected"):
        other.ask(tree)
    storage.create_new_trial(storage.get_study_id_from_name("s"))
    with pytest.raises(StudyError, match="used by another process"):
        study.ask(tree)


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def seen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", seen)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", seen)


def test_a_question_and_its_end_take_few_statements_however_many_there_were(tmp_path: Path) -> None:
    opened = open_storage(tmp_path, f"sqlite:///{tmp_path}/optuna.db")
    study, tree, counts = study_in(opened), load(SPACE, "s"), []
    for number in range(15):
        with counted() as statements:
            question, _ = study.ask(tree)
            study.tell(
                Question(question.number, question.params, question.distributions, told(question, float(number)).told)
            )
        counts.append(len(statements))
    assert max(counts[1:]) == min(counts[1:]) <= 20
    close_storage(opened)
