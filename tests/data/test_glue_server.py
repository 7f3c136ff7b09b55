"""Files for GLUE's server: names, header, words and order, from test sets made up for this test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pld_search.data import hub
from pld_search.data.glue import LAYOUTS
from pld_search.data.glue_server import FILES, ServerTable, file_text, glue_tables, server_tables
from pld_search.data.tasks import Example
from pld_search.errors import ConfigError, DataError
from pld_search.frozen import digest_of
from pld_search.specs.experiment import Evaluation, Experiment, Task
from pld_search.specs.machine import Machine
from tests.report.studies import FULL, experiment

TABLES = {
    "CoLA/test.tsv": "index\tsentence\n0\tWho knows.\n1\tKnows who.\n",
    "QQP/test.tsv": "id\tquestion1\tquestion2\n7\tWhy?\tWhy so?\n",
    "MNLI/test_matched.tsv": "index\tsentence1\tsentence2\n0\tE.\tF.\n",
    "MNLI/test_mismatched.tsv": "index\tsentence1\tsentence2\n9847\tG.\tH.\n",
    "diagnostic/diagnostic.tsv": "index\tsentence1\tsentence2\n0\tI.\tJ.\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place, text in TABLES.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    return tmp_path


def test_the_eleven_files_of_the_nine_tasks() -> None:
    assert sorted(FILES) == sorted(
        [
            "AX.tsv",
            "MNLI-m.tsv",
            "MNLI-mm.tsv",
            *(f"{each.folder}.tsv" for name, each in LAYOUTS.items() if name != "mnli"),
        ]
    )
    assert {source.task for source in FILES.values()} == set(LAYOUTS)


def test_mnli_has_three_test_sets_and_each_keeps_its_index(root: Path) -> None:
    assert list(server_tables("mnli", root / "MNLI")) == [
        ServerTable("AX.tsv", ("0",), (Example("I.", "J.", None),)),
        ServerTable("MNLI-m.tsv", ("0",), (Example("E.", "F.", None),)),
        ServerTable("MNLI-mm.tsv", ("9847",), (Example("G.", "H.", None),)),
    ]
    (root / "diagnostic" / "diagnostic.tsv").rename(root / "AX.tsv")  # as it is published
    assert next(server_tables("mnli", root / "MNLI")).file == "AX.tsv"
    (root / "AX.tsv").unlink()
    assert [table.file for table in server_tables("mnli", root / "MNLI")] == ["MNLI-m.tsv", "MNLI-mm.tsv"]


def test_qqp_calls_its_index_id(root: Path) -> None:
    assert list(server_tables("qqp", root / "QQP")) == [
        ServerTable("QQP.tsv", ("7",), (Example("Why?", "Why so?", None),))
    ]


def test_a_task_without_a_test_set_has_no_file(root: Path) -> None:
    assert list(server_tables("rte", root / "RTE")) == []


def test_a_damaged_table_is_refused_with_its_line(root: Path) -> None:
    (root / "CoLA" / "test.tsv").write_text("index\tsentence\n0\tWho knows.\nKnows who.\n")
    with pytest.raises(DataError, match=r"CoLA/test.tsv:3: 1 tab-separated cells where there should be 2"):
        list(server_tables("cola", root / "CoLA"))
    (root / "CoLA" / "test.tsv").write_text("number\tsentence\n0\tWho knows.\n")
    with pytest.raises(DataError, match=r"CoLA/test.tsv:2: no column 'index'; there are number, sentence"):
        list(server_tables("cola", root / "CoLA"))


def test_the_hub_gives_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(name: str, split: str, revision: str | None, *, config: str | None = None) -> Iterator[dict[str, Any]]:
        assert (name, revision) == ("nyu-mll/glue", "c" * 40)
        yield {"premise": f"{config} {split}", "hypothesis": "b", "label": -1, "idx": 3}

    monkeypatch.setattr(hub, "commit", lambda *_: "c" * 40)
    monkeypatch.setattr(hub, "rows", rows)
    assert [(table.file, table.index, table.examples[0].text_a) for table in server_tables("mnli", None)] == [
        ("AX.tsv", ("3",), "ax test"),
        ("MNLI-m.tsv", ("3",), "mnli test_matched"),
        ("MNLI-mm.tsv", ("3",), "mnli test_mismatched"),
    ]


@pytest.mark.parametrize(
    ("task", "predictions", "words"),
    [
        ("cola", [1.0, 0.0], ["1", "0"]),
        ("mnli", [2.0, 0.0], ["contradiction", "entailment"]),
        ("rte", [0.0, 1.0], ["entailment", "not_entailment"]),
        ("stsb", [3.14159, 5.2], ["3.142", "5.000"]),
        ("stsb", [-0.3, 2.0], ["0.000", "2.000"]),
    ],
)
def test_a_file_has_the_servers_header_and_the_tasks_words(
    task: str, predictions: list[float], words: list[str]
) -> None:
    table = ServerTable("X.tsv", ("4", "9"), (Example("a", None, None),) * 2)
    assert file_text(task, table, predictions) == f"index\tprediction\n4\t{words[0]}\n9\t{words[1]}\n"


def test_what_cannot_be_a_prediction_is_refused() -> None:
    table = ServerTable("CoLA.tsv", ("0",), (Example("a", None, None),))
    with pytest.raises(DataError, match=r"CoLA.tsv: the fine-tuned model's predictions are not finite"):
        file_text("cola", table, [float("nan")])
    with pytest.raises(ValueError, match="1 predictions are needed"):
        file_text("cola", table, [1.0, 0.0])


def tuned_on(*names: str, suite: str = "glue") -> Experiment:
    tasks = tuple(
        Task.model_validate(
            {
                "suite": suite,
                "name": name,
                "digest": digest_of(name),
                "kind": "classification",
                "labels": 2,
                "metrics": ("accuracy",),
            }
        )
        for name in names
    )
    return experiment(FULL).model_copy(update={"evaluation": Evaluation(tasks=tasks)})


@pytest.fixture
def cola_root(tmp_path: Path) -> Path:
    (tmp_path / "CoLA").mkdir()
    (tmp_path / "CoLA" / "test.tsv").write_text("index\tsentence\n0\tWho knows.\n")
    return tmp_path


def test_tables_lie_in_the_machines_folders(cola_root: Path) -> None:
    found = glue_tables(tuned_on("cola", "rte"), Machine(tasks={"glue": str(cola_root)}))
    assert {name: [table.file for table in tables] for name, tables in found.items()} == {
        "cola": ["CoLA.tsv"],
        "rte": [],
    }
    alone = glue_tables(tuned_on("cola"), Machine(tasks={"cola": str(cola_root / "CoLA")}))
    assert alone["cola"][0].index == ("0",)


def test_nothing_to_predict_is_said_before_anything_is_trained(cola_root: Path) -> None:
    with pytest.raises(ConfigError, match=r"--glue-files is for experiments that are fine-tuned on tasks of GLUE"):
        glue_tables(tuned_on("era", suite="demo"), Machine())
    with pytest.raises(ConfigError, match=r"no test set of the experiment's GLUE tasks is there.*given: .*RTE"):
        glue_tables(tuned_on("rte"), Machine(tasks={"glue": str(cola_root)}))
