"""A user's own task: tables and a `task.yaml` beside them that describes them.

train: train.tsv            # .tsv (quotes are literal), .csv or .jsonl, relative to this file
dev: dev.csv
test: test.jsonl            # may be left out
text: [question, answer]    # one column, or two for a pair
label: verdict
metric: [accuracy, f1]      # accuracy | f1 | mcc, or for a regression pearson | spearman
labels: ["no", "yes"]       # class 0, 1, ...; left out: the train split's own words, sorted
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pld_search.data.glue import label_of
from pld_search.data.labelled_tables import cell, table
from pld_search.data.task_metrics import REGRESSION_METRICS
from pld_search.data.tasks import Example, TaskContent
from pld_search.errors import DataError
from pld_search.frozen import Spec
from pld_search.host.disk import expanded
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load_file

FILE = "task.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
Text = Annotated[str, Field(min_length=1)]
Several = BeforeValidator(
    lambda value: (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
)
Metric = Literal["accuracy", "f1", "mcc", "pearson", "spearman"]


class OwnTask(Spec):
    """The content of `task.yaml`."""

    train: Text
    dev: Text
    test: Text | None = None
    text: Annotated[
        tuple[Text, ...], Several, Field(min_length=1, max_length=2, description="one column, or two for a pair")
    ]
    label: Text
    metric: Annotated[tuple[Metric, ...], Several, Field(min_length=1)]
    labels: Annotated[
        tuple[Text, ...], Field(description="the words of class 0, 1, ...; empty: the train split's own, sorted")
    ] = ()

    @property
    def regression(self) -> bool:
        """Whether the labels are numbers; the first metric decides."""
        return self.metric[0] in REGRESSION_METRICS


def described(place: Path) -> tuple[OwnTask, Path]:
    """Returns the content of a `task.yaml`, or of the one in a folder, and its file. Raises ConfigError and
    DataError.
    """
    file = place / FILE if place.is_dir() else place
    if not file.is_file():
        raise DataError(f"{file}: no such file; a task of your own is a folder with tables and a {FILE}")
    return check(OwnTask, load_file(file)), file


def split_files(task: OwnTask, file: Path) -> dict[str, Path]:
    """Returns the tables of a task by split."""
    written = {"train": task.train, "dev": task.dev, "test": task.test}
    return {split: file.parent / expanded(name) for split, name in written.items() if name is not None}


def content(name: str, place: Path) -> TaskContent:
    """Reads a user's task under the name that the study gives it. Raises DataError and ConfigError."""
    if not _NAME.fullmatch(name):
        raise DataError(
            f"'{name}' cannot name a task: letters, digits, _ . and - only, as it becomes part of metric names"
        )
    task, file = described(place)
    tables = split_files(task, file)
    labels = () if task.regression else task.labels or _words(task, tables["train"])
    splits = {split: list(_examples(task, path, labels, labelled=split != "test")) for split, path in tables.items()}
    return TaskContent("task", name, "regression" if task.regression else "classification", task.metric, splits, labels)


def _words(task: OwnTask, path: Path) -> tuple[str, ...]:
    found = {cell(row, task.label, path, number) for number, row in table(path)}
    if not found:
        raise DataError(f"{path}: the table has no rows")
    return tuple(sorted(found))


def _examples(task: OwnTask, path: Path, labels: tuple[str, ...], *, labelled: bool) -> Iterator[Example]:
    """Yields the examples of a table; only a test table may lack a label column."""
    for number, row in table(path):
        texts = [cell(row, column, path, number) for column in task.text]
        known = labelled or task.label in row
        label = label_of(cell(row, task.label, path, number), labels, f"{path}:{number}") if known else None
        yield Example(texts[0], texts[1] if len(texts) > 1 else None, label)
