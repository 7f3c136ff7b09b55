"""What a study names that is not on this machine: every place at once, each under its key; and where the places that
are there lie.
"""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from pld_search.data.locate import Places, missing
from pld_search.specs.template import DataTemplate, EvaluationTemplate
from pld_search.specs.validate import check


def found(base: Path, data: dict[str, Any], *tasks: Any, named: dict[str, str] | None = None) -> dict[str, str]:
    written = {"train": "demo", "tokenizer": {"train": "wordpiece", "vocabulary": 100}, "length": 16, **data}
    problems = missing(
        check(DataTemplate, written), check(EvaluationTemplate, {"tasks": list(tasks)}), Places(named or {}, base)
    )
    return {".".join(map(str, problem.path)): problem.message for problem in problems}


def test_every_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("a text\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.yaml").write_text(
        "train: train.tsv\ndev: dev.tsv\ntext: a\nlabel: b\nmetric: accuracy\n"
    )
    data = {
        "train": {"text": ["./here.txt", "./no/*.txt"]},
        "validation": {"text": ["corpus/x.txt"]},
        "tokenizer": "./empty",
    }
    said = found(
        tmp_path,
        data,
        {"cola": "./glue"},
        {"own": "./mine"},
        {"other": "./nowhere"},
        named={"corpus": str(tmp_path / "far")},
    )
    assert said == {
        "data.train.text.1": f"no file matches './no/*.txt' (looked for {tmp_path}/no/*.txt)",
        "data.validation.text.0": f"no file matches 'corpus/x.txt' (looked for {tmp_path}/far/x.txt)",
        "data.tokenizer": f"{tmp_path}/empty: neither tokenizer.json nor vocab.txt is in this folder",
        "evaluation.tasks.0": f"{tmp_path}/glue/train.tsv: no such file; the task 'cola' is expected in GLUE's original layout",
        "evaluation.tasks.1": f"{tmp_path}/mine/train.tsv: no such file",
        "evaluation.tasks.2": f"{tmp_path}/nowhere: no such file; a task of your own is a folder with tables and a task.yaml",
    }


def test_what_is_there_and_what_the_hub_has_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("a text\n")
    (tmp_path / "vocab.txt").write_text("a\n")
    assert found(tmp_path, {"train": {"text": ["./*.txt"]}, "tokenizer": "vocab.txt"}, "rte") == {}
    assert (
        found(tmp_path, {"train": {"hub": "org/name", "split": "train", "field": "text"}, "tokenizer": "org/bert"})
        == {}
    )


@pytest.mark.parametrize(
    ("named", "place"), [({}, None), ({"glue": "/g"}, "/g/CoLA"), ({"cola": "/c", "glue": "/g"}, "/c")]
)
def test_glue_lies_where_the_machine_says(named: dict[str, str], place: str | None) -> None:
    assert Places(named, Path("/base")).glue("cola", None) == (None if place is None else Path(place))
    assert Places(named, Path("/base")).glue("cola", "./x") == Path("/base/x")


def test_looking_loads_no_tokenizers() -> None:
    code = (
        "import sys; import pld_search.data.locate; print(sorted({'tokenizers', 'datasets', 'torch'} & "
        "set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
