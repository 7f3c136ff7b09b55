"""Every trap of GLUE's files, on rows made up for this test; the real files where a local copy is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pld_search.data import glue, hub
from pld_search.data.glue import LAYOUTS
from pld_search.data.prepare_data import prepare
from pld_search.data.tasks import Example, TaskContent, TaskData
from pld_search.errors import DataError
from pld_search.specs.template import GLUE_TASKS, EvaluationTemplate
from tests.data.conftest import SHARED, tiny_data

ENTAILED = (
    'index\tsentence1\tsentence2\tlabel\n0\tIt "rained.\tIt was wet.\tentailment\n1\tIt rained.\tIt '
    "was\u2028dry.\tnot_entailment\n"
)
MNLI = "index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n0\t1\tA.\tB.\tneutral\tentailment\n1\t2\tC.\tD.\tneutral\tcontradiction\n"
FILES: Mapping[str, Mapping[str, str]] = {
    "CoLA": {
        "train": 'gj04\t1\t\tThey left.\ngj04\t0\t*\tThey "left the\n',
        "dev": "gj04\t0\t*\tLeft they.\r\ngj04\t1\t\tWe did.",
        "test": "index\tsentence\n0\tWho knows.\n",
    },
    "SST-2": {
        "train": 'sentence\tlabel\na fine film \t1\n"a bad one\t0\n',
        "dev": "sentence\tlabel\nso so\t0\n",
        "test": "index\tsentence\n0\tgood\n",
    },
    "MRPC": {
        "train": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\tHe said " no .\tHe refused '
        ".\n0\t3\t4\tA .\tB .\n",
        "dev": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tX .\tY .\n",
        "test": "\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tX .\tY .\n",
    },
    "STS-B": {
        "train": "index\tsentence1\tsentence2\tscore\n0\tA man.\tA woman.\t2.600\n",
        "dev": "index\tsentence1\tsentence2\tscore\n0\tA.\tA.\t5.000\n",
    },
    "QQP": {
        "train": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWhy?\tWhy so?\t1\n2\t3\ttorn "
        "row\n3\t5\t6\tWho?\tWhat?\t0\n",
        "dev": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tHow?\tHow so?\t1\n",
    },
    "MNLI": {
        "train": MNLI,
        "dev_matched": MNLI,
        "dev_mismatched": MNLI.replace("A.", "Other."),
        "test_matched": "index\tsentence1\tsentence2\n0\tE.\tF.\n",
    },
    "QNLI": {
        "train": ENTAILED.replace("sentence1\tsentence2", "question\tsentence"),
        "dev": ENTAILED.replace("sentence1\tsentence2", "question\tsentence"),
    },
    "RTE": {"train": ENTAILED, "dev": ENTAILED},
    "WNLI": {
        "train": "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe cup fell.\t1\n",
        "dev": "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t0\n",
    },
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in GLUE's layout with a few made-up rows a task."""
    folder = tmp_path / "glue"
    for task, files in FILES.items():
        (folder / task).mkdir(parents=True)
        for split, text in files.items():
            (folder / task / f"{split}.tsv").write_bytes(text.encode())
    return folder


def read(root: Path, name: str) -> TaskContent:
    return glue.from_files(name, root / LAYOUTS[name].folder)


def test_the_nine_tasks_are_those_of_the_template() -> None:
    assert tuple(LAYOUTS) == GLUE_TASKS
    assert {name: (len(layout.labels), layout.metrics) for name, layout in LAYOUTS.items()} == {
        "cola": (2, ("mcc",)),
        "sst2": (2, ("accuracy",)),
        "mrpc": (2, ("f1", "accuracy")),
        "stsb": (0, ("pearson", "spearman")),
        "qqp": (2, ("f1", "accuracy")),
        "mnli": (3, ("accuracy",)),
        "qnli": (2, ("accuracy",)),
        "rte": (2, ("accuracy",)),
        "wnli": (2, ("accuracy",)),
    }


def test_cola_has_no_header_and_quotes_are_literal(root: Path) -> None:
    splits = read(root, "cola").splits
    assert splits["train"] == [Example("They left.", None, 1), Example('They "left the', None, 0)]
    assert splits["dev"] == [Example("Left they.", None, 0), Example("We did.", None, 1)]
    assert splits["test"] == [Example("Who knows.", None, None)]


def test_mrpcs_byte_order_mark(root: Path) -> None:
    splits = read(root, "mrpc").splits
    assert splits["train"] == [Example('He said " no .', "He refused .", 1), Example("A .", "B .", 0)]
    assert splits["test"] == [Example("X .", "Y .", None)]


def test_mnlis_two_dev_sets_and_gold_labels(root: Path) -> None:
    splits = read(root, "mnli").splits
    assert splits["dev"] == [Example("A.", "B.", 0), Example("C.", "D.", 2)]
    assert splits["dev_mismatched"][0] == Example("Other.", "B.", 0)
    assert splits["test"] == [Example("E.", "F.", None)]
    (root / "MNLI" / "dev_mismatched.tsv").unlink()
    assert sorted(read(root, "mnli").splits) == ["dev", "test", "train"]


def test_qqps_torn_rows_are_left_out_and_counted(root: Path) -> None:
    content = read(root, "qqp")
    assert content.splits["train"] == [Example("Why?", "Why so?", 1), Example("Who?", "What?", 0)]
    assert content.notes == {"torn_rows_left_out": 1}
    path = root / "QQP" / "train.tsv"
    path.write_text(path.read_text() + "torn\n" * 3)
    with pytest.raises(DataError, match="4 rows have missing cells; the files are damaged"):
        read(root, "qqp")


def test_the_other_tasks(root: Path) -> None:
    assert read(root, "sst2").splits["train"] == [Example("a fine film ", None, 1), Example('"a bad one', None, 0)]
    assert read(root, "stsb").splits["train"] == [Example("A man.", "A woman.", 2.6)]
    assert read(root, "stsb").kind == "regression"
    assert read(root, "wnli").splits["train"] == [Example("It fell.", "The cup fell.", 1)]
    for name in ("rte", "qnli"):
        assert read(root, name).splits["dev"] == [
            Example('It "rained.', "It was wet.", 0),
            Example("It rained.", "It was\u2028dry.", 1),
        ]


@pytest.mark.parametrize(
    ("task", "split", "text", "message"),
    [
        (
            "rte",
            "train",
            "index\tsentence1\tsentence2\tlabel\n0\tA.\tentailment\n",
            r"train.tsv:2: 3 tab-separated cells where there should be 4",
        ),
        (
            "rte",
            "dev",
            "index\tsentence1\tlabel\n0\tA.\tentailment\n",
            "dev.tsv:2: no column 'sentence2'; there are index, sentence1, label",
        ),
        (
            "rte",
            "train",
            "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t-\n",
            r"train.tsv:2: '-' is no label of this task \(entailment, not_entailment\)",
        ),
        (
            "stsb",
            "train",
            "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\tnan\n",
            "train.tsv:2: 'nan' is not a finite number",
        ),
        (
            "stsb",
            "train",
            "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\thigh\n",
            "train.tsv:2: 'high' is not a number",
        ),
        ("cola", "train", "sentence\tlabel\nIt is.\t1\n", "train.tsv:1: 2 tab-separated cells where there should be 4"),
    ],
)
def test_files_in_another_form_are_refused_with_their_line(
    root: Path, task: str, split: str, text: str, message: str
) -> None:
    (root / LAYOUTS[task].folder / f"{split}.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(root, task)


def test_a_missing_split_is_named(root: Path) -> None:
    (root / "RTE" / "dev.tsv").unlink()
    with pytest.raises(DataError, match=r"RTE/dev.tsv: no such file; the task 'rte'"):
        read(root, "rte")


def test_all_nine_are_prepared_from_the_machines_folder(root: Path, texts: Path, tmp_path: Path) -> None:
    evaluation = EvaluationTemplate.model_validate({"tasks": [*GLUE_TASKS[:-1], {"wnli": "./glue/WNLI"}]})
    prepared = prepare(tiny_data(texts), evaluation, tmp_path / "cache", places={"glue": str(root)}, base=tmp_path)
    assert [task.task.name for task in prepared.tasks] == list(GLUE_TASKS)
    assert {task.task.suite for task in prepared.tasks} == {"glue"}
    assert [task.task.labels for task in prepared.tasks] == [2, 2, 2, 1, 2, 3, 2, 2, 2]
    scores = TaskData(prepared.tasks[5].folder).scores(lambda examples: [example.label or 0 for example in examples])
    assert scores == {"accuracy": 1.0, "accuracy_mismatched": 1.0}


def hub_rows(name: str, split: str, revision: str | None, *, config: str | None = None) -> Iterator[dict[str, Any]]:
    assert (name, revision) == ("nyu-mll/glue", "c" * 40)
    label = -1 if split.startswith("test") else 1
    yield {
        "stsb": {"sentence1": f"{split} a", "sentence2": "b", "label": 2.5},
        "mnli": {"premise": f"{split} a", "hypothesis": "b", "label": label},
    }.get(str(config), {"sentence": split, "label": label})


def test_glue_that_is_nowhere_names_the_key_of_the_machine(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> str:
        raise DataError("the Hugging Face hub cannot be asked")

    monkeypatch.setattr(hub, "commit", unreachable)
    with pytest.raises(
        DataError, match=r"cannot be asked: name GLUE's folder in the machine file, `tasks: {glue: FOLDER}`"
    ):
        prepare(tiny_data(texts), EvaluationTemplate(tasks=("rte",)), tmp_path / "cache", places={}, base=tmp_path)


def test_the_hub_gives_the_same_tasks(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "commit", lambda *_: "c" * 40)
    monkeypatch.setattr(hub, "rows", hub_rows)
    evaluation = EvaluationTemplate.model_validate({"tasks": ["cola", "stsb", "mnli"]})
    prepared = prepare(tiny_data(texts), evaluation, tmp_path / "cache", places={}, base=tmp_path)
    cola, stsb, mnli = (TaskData(task.folder) for task in prepared.tasks)
    assert (cola.train, cola.dev, cola.test) == (
        [Example("train", None, 1)],
        [Example("validation", None, 1)],
        [Example("test", None, None)],
    )
    assert stsb.train == [Example("train a", "b", 2.5)]
    assert mnli.dev_sets == {
        "": [Example("validation_matched a", "b", 1)],
        "_mismatched": [Example("validation_mismatched a", "b", 1)],
    }


@pytest.mark.skipif(not SHARED.is_dir(), reason="no local copy of GLUE")
def test_the_real_files(tmp_path: Path) -> None:
    sizes = {
        "cola": (8551, 1043),
        "mrpc": (3668, 408),
        "rte": (2490, 277),
        "stsb": (5749, 1500),
        "qnli": (32, 32),
        "qqp": (32, 32),
        "mnli": (48, 48),
    }
    found = {}
    for name in sizes:
        content = read(SHARED / "glue", name)
        found[name] = (len(content.splits["train"]), len(content.splits["dev"]))
        assert content.notes == {}
    assert found == sizes
