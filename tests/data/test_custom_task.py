from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.data import custom_task
from pld_search.data.prepare_data import prepare
from pld_search.data.tasks import Example, TaskData
from pld_search.errors import ConfigError, DataError
from pld_search.specs.template import EvaluationTemplate
from tests.data.conftest import tiny_data

TASK = (
    "train: train.tsv\ndev: dev.csv\ntest: test.jsonl\ntext: [question, answer]\nlabel: verdict\nmetric: "
    "[accuracy, f1]\n"
)
TABLES = {
    "train.tsv": 'question\tanswer\tverdict\nIs "it\tYes.\tright\nWas it\tNo.\twrong\n',
    "dev.csv": 'question,answer,verdict\n"Is it, ""really""?","Two\nlines",wrong\n',
    "test.jsonl": '{"question": "Who", "answer": "Me"}\n\n{"question": "When", "answer": "Now", "verdict": "right"}\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    for name, text in {**TABLES, "task.yaml": TASK}.items():
        (place / name).write_text(text)
    return place


def test_tables_of_three_kinds(folder: Path) -> None:
    content = custom_task.content("mine", folder)
    assert content.splits == {
        "train": [Example('Is "it', "Yes.", 0), Example("Was it", "No.", 1)],
        "dev": [Example('Is it, "really"?', "Two\nlines", 1)],
        "test": [Example("Who", "Me", None), Example("When", "Now", 0)],
    }
    assert (content.suite, content.kind, content.label_names, content.metrics) == (
        "task",
        "classification",
        ("right", "wrong"),
        ("accuracy", "f1"),
    )


def test_stated_labels_decide_the_classes(folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK + "labels: [wrong, right]\n")
    assert [example.label for example in custom_task.content("mine", folder).splits["train"]] == [1, 0]


def test_a_regression_on_one_text(folder: Path) -> None:
    (folder / "task.yaml").write_text("train: t.csv\ndev: t.csv\ntext: question\nlabel: score\nmetric: pearson\n")
    (folder / "t.csv").write_text("question,score\nA,1.5\nB,-2\n")
    content = custom_task.content("mine", folder)
    assert content.splits["dev"] == [Example("A", None, 1.5), Example("B", None, -2.0)]
    assert (content.kind, content.labels) == ("regression", 1)


def test_prepared_by_name_and_place(folder: Path, texts: Path, tmp_path: Path) -> None:
    for place in ("./mine", "mine/task.yaml", str(folder)):
        evaluation = EvaluationTemplate.model_validate({"tasks": [{"verdicts": place}]})
        (task,) = prepare(tiny_data(texts), evaluation, tmp_path / "cache", places={}, base=tmp_path).tasks
        assert (task.task.suite, task.task.name, task.task.labels) == ("task", "verdicts", 2)
        assert len(TaskData(task.folder).train) == 2
    (folder / "train.tsv").write_text(TABLES["train.tsv"] + "More\tYes.\tright\n")
    (changed,) = prepare(tiny_data(texts), evaluation, tmp_path / "cache", places={}, base=tmp_path).tasks
    assert changed.task.digest != task.task.digest


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("task.yaml", TASK.replace("verdict", "judgement"), "train.tsv:2: no column 'judgement'"),
        (
            "task.yaml",
            TASK + "labels: [right, left]\n",
            r"train.tsv:3: 'wrong' is no label of this task \(right, left\)",
        ),
        (
            "task.yaml",
            TASK.replace("[accuracy, f1]", "[accuracy, pearson]"),
            "a regression is scored by pearson and spearman",
        ),
        ("task.yaml", TASK.replace("dev.csv", "dev.xls"), "dev.xls: no such file"),
        ("train.tsv", "question\tanswer\tverdict\nA\tB\n", "train.tsv:2: 2 tab-separated cells"),
        ("train.tsv", "question\tanswer\tverdict\n", "train.tsv: the table has no rows"),
        ("dev.csv", "question,answer,verdict\nA,B\n", "dev.csv:2: 2 cells where there should be 3"),
        ("dev.csv", 'question,answer,verdict\n"A"x,B,right\n', "dev.csv:2: not CSV"),
        ("dev.csv", "question,answer,verdict\n", "the dev split has no examples"),
        ("test.jsonl", "[1]\n", "test.jsonl:1: not a JSON object"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(
    folder: Path, texts: Path, tmp_path: Path, file: str, text: str, message: str
) -> None:
    (folder / file).write_text(text)
    evaluation = EvaluationTemplate.model_validate({"tasks": [{"mine": "./mine"}]})
    with pytest.raises(DataError, match=message):
        prepare(tiny_data(texts), evaluation, tmp_path / "cache", places={}, base=tmp_path)


def test_a_table_of_another_kind_is_refused(folder: Path) -> None:
    (folder / "dev.xls").write_text("x")
    (folder / "task.yaml").write_text(TASK.replace("dev.csv", "dev.xls"))
    with pytest.raises(DataError, match=r"a table is a .tsv, .csv or .jsonl file"):
        custom_task.content("mine", folder)


def test_an_unknown_key_is_refused_at_its_line(folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK + "lable: verdict\n")
    with pytest.raises(ConfigError, match=r"task.yaml:7:1: .*lable"):
        custom_task.content("mine", folder)


def test_a_place_without_a_task_and_a_name_that_is_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"texts/task.yaml: no such file"):
        custom_task.content("mine", tmp_path / "texts" / "task.yaml")
    with pytest.raises(DataError, match="'a/b' cannot name a task"):
        custom_task.content("a/b", folder)
