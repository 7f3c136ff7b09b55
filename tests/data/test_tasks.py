from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pld_search.data import tasks
from pld_search.data.tasks import Example, TaskContent, TaskData
from pld_search.errors import DataError

PAIR = TaskContent(
    "task",
    "pairs",
    "classification",
    ("accuracy", "f1"),
    {
        "train": [Example("a", "b", 0), Example("ü\u2028", "d", 1)],
        "dev": [Example("e", "f", 1), Example("e", "g", 0)],
        "dev_other": [Example("h", "i", 1)],
        "test": [Example("j", "k", None)],
    },
    ("no", "yes"),
)


def test_a_task_comes_back_as_it_was_written(tmp_path: Path) -> None:
    digest = tasks.write(tmp_path, PAIR)
    data = TaskData(tmp_path)
    assert (data.train, data.dev, data.test) == (PAIR.splits["train"], PAIR.splits["dev"], PAIR.splits["test"])
    assert data.dev_sets == {"": PAIR.splits["dev"], "_other": PAIR.splits["dev_other"]}
    task = data.task
    assert task.model_dump() == {
        "suite": "task",
        "name": "pairs",
        "digest": digest,
        "kind": "classification",
        "labels": 2,
        "metrics": ("accuracy", "f1"),
    }


def test_scores_of_every_dev_set(tmp_path: Path) -> None:
    tasks.write(tmp_path, PAIR)
    assert TaskData(tmp_path).scores(lambda examples: [1] * len(examples)) == {
        "accuracy": 0.5,
        "f1": pytest.approx(2 / 3),
        "accuracy_other": 1.0,
        "f1_other": 1.0,
    }


def test_the_digest_is_of_what_decides_a_score(tmp_path: Path) -> None:
    same = [PAIR, replace(PAIR, about="text", notes={"a": 1})]
    other = [
        replace(PAIR, name="other"),
        replace(PAIR, metrics=("f1",)),
        replace(PAIR, label_names=("yes", "no")),
        replace(PAIR, splits={**PAIR.splits, "dev": PAIR.splits["train"]}),
        replace(PAIR, splits={name: PAIR.splits[name] for name in ("train", "dev")}),
    ]
    digests = []
    for number, content in enumerate([*same, *other]):
        (tmp_path / str(number)).mkdir()
        digests.append(tasks.write(tmp_path / str(number), content))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 1 + len(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ("bleu",)}, "metrics are among"),
        ({"metrics": ()}, "metrics are among"),
        ({"metrics": ("pearson",)}, "a regression is scored by"),
        ({"label_names": ("only",)}, "two classes or more"),
        ({"label_names": ("a", "b", "c")}, "f1 is the score of class 1 of two classes"),
        ({"splits": {"train": PAIR.splits["train"]}}, "the dev split has no examples"),
        (
            {"splits": {"train": PAIR.splits["test"], "dev": PAIR.splits["dev"]}},
            "an example of the train split has no label",
        ),
    ],
)
def test_a_task_that_cannot_be_scored_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tasks.write(tmp_path, replace(PAIR, **change))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_task_cut_short_is_refused(tmp_path: Path) -> None:
    tasks.write(tmp_path, PAIR)
    (tmp_path / "dev.jsonl").write_text("")
    with pytest.raises(DataError, match="not a whole task folder"):
        TaskData(tmp_path)


def test_the_majority_class_is_a_constant_guess(tmp_path: Path) -> None:
    dev = [Example(str(number), None, int(number < 3)) for number in range(4)]
    tasks.write(tmp_path, replace(PAIR, splits={**PAIR.splits, "dev": dev}))
    # three of four are class 1: 3/4 right, F1 2 * 3 / (4 + 3); of the other dev set the only one is class 1
    assert TaskData(tmp_path).majority() == {
        "accuracy": 0.75,
        "f1": pytest.approx(6 / 7),
        "accuracy_other": 1.0,
        "f1_other": 1.0,
    }


def test_a_constant_guess_of_a_regression_correlates_with_nothing(tmp_path: Path) -> None:
    dev = [Example(str(number), None, float(number)) for number in range(3)]
    splits = {"train": dev, "dev": dev}
    tasks.write(tmp_path, TaskContent("task", "near", "regression", ("pearson", "spearman"), splits))
    assert TaskData(tmp_path).majority() == {"pearson": 0.0, "spearman": 0.0}
