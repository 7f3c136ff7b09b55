"""Where the test sets of an experiment's GLUE tasks are found, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.app.glue_tables import glue_tables
from pld_search.errors import ConfigError
from pld_search.frozen import digest_of
from pld_search.specs.experiment import Evaluation, Experiment, Task
from pld_search.specs.machine import Machine
from tests.report.studies import FULL, experiment


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
def root(tmp_path: Path) -> Path:
    (tmp_path / "CoLA").mkdir()
    (tmp_path / "CoLA" / "test.tsv").write_text("index\tsentence\n0\tWho knows.\n")
    return tmp_path


def test_tables_lie_in_the_machines_folders(root: Path) -> None:
    found = glue_tables(tuned_on("cola", "rte"), Machine(tasks={"glue": str(root)}))
    assert {name: [table.file for table in tables] for name, tables in found.items()} == {
        "cola": ["CoLA.tsv"],
        "rte": [],
    }
    alone = glue_tables(tuned_on("cola"), Machine(tasks={"cola": str(root / "CoLA")}))
    assert alone["cola"][0].index == ("0",)


def test_nothing_to_predict_is_said_before_anything_is_trained(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"--glue-files is for experiments that are fine-tuned on tasks of GLUE"):
        glue_tables(tuned_on("era", suite="demo"), Machine())
    with pytest.raises(ConfigError, match=r"no test set of the experiment's GLUE tasks is there.*given: .*RTE"):
        glue_tables(tuned_on("rte"), Machine(tasks={"glue": str(root)}))
