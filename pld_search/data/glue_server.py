"""Predictions in the format of GLUE's server: a table per test set with `index` and `prediction`, under the server's
file names.

MNLI has three of these tables: the matched and the mismatched test set, and the diagnostics (AX), which have no
training set of their own (Wang et al., ICLR 2019; gluebenchmark.com, FAQ). The server takes a zip of all eleven tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pld_search.data import glue, hub
from pld_search.data.labelled_tables import cell, tsv
from pld_search.data.locate import Places
from pld_search.data.tasks import Example
from pld_search.errors import ConfigError, DataError, Problem
from pld_search.specs.experiment import Experiment
from pld_search.specs.machine import Machine

_HIGHEST_SIMILARITY = 5.0
_DIAGNOSTICS = ("diagnostic/diagnostic.tsv", "AX/AX.tsv", "AX.tsv")
"""The paths of the diagnostics beside MNLI's folder: as GLUE's script downloads them, or as they are published."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the server: the task that predicts it, the possible paths of the test table below the task's folder,
    and its configuration and split on the hub.
    """

    task: str
    places: tuple[str, ...]
    config: str
    split: str = "test"


def _plain(task: str) -> _Source:
    return _Source(task, ("test.tsv",), task)


FILES: Mapping[str, _Source] = {
    "AX.tsv": _Source("mnli", tuple(f"../{place}" for place in _DIAGNOSTICS), "ax"),
    "CoLA.tsv": _plain("cola"),
    "MNLI-m.tsv": _Source("mnli", ("test_matched.tsv",), "mnli", "test_matched"),
    "MNLI-mm.tsv": _Source("mnli", ("test_mismatched.tsv",), "mnli", "test_mismatched"),
    "MRPC.tsv": _plain("mrpc"),
    "QNLI.tsv": _plain("qnli"),
    "QQP.tsv": _plain("qqp"),
    "RTE.tsv": _plain("rte"),
    "SST-2.tsv": _plain("sst2"),
    "STS-B.tsv": _plain("stsb"),
    "WNLI.tsv": _plain("wnli"),
}
"""Every file that the server requires, by name."""


@dataclass(frozen=True, slots=True)
class ServerTable:
    """The texts for one of the server's files, in its order, and the index of each text as in the test file."""

    file: str
    index: tuple[str, ...]
    examples: tuple[Example, ...]


def server_tables(task: str, folder: Path | None) -> Iterator[ServerTable]:
    """Yields every available test set of a GLUE task: from `folder`, which has GLUE's layout, or from the hub (None).

    Raises DataError if a table is damaged or the hub cannot be read.
    """
    commit = hub.commit(glue.HUB, None) if folder is None else None
    for file, source in FILES.items():
        if source.task != task:
            continue
        if folder is None:
            yield _table(file, _of_hub(source, commit))
            continue
        place = next((folder / place for place in source.places if (folder / place).is_file()), None)
        if place is not None:
            yield _table(file, _of_file(task, place))


def file_text(task: str, table: ServerTable, predictions: ArrayLike) -> str:
    """Returns the file of a test set for predictions (N,): class numbers, or similarities, which are clipped to 0 .. 5.

    Raises DataError for predictions that are not finite.
    """
    values, labels = np.asarray(predictions, dtype=np.float64), glue.LAYOUTS[task].labels
    if values.shape != (len(table.index),):
        raise ValueError(f"{table.file}: {len(table.index)} predictions are needed, got an array of {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"{table.file}: the fine-tuned model's predictions are not finite")
    if labels:
        words = [labels[int(value)] for value in values]
    else:
        words = [f"{value:.3f}" for value in np.clip(values, 0.0, _HIGHEST_SIMILARITY)]
    rows = [("index", "prediction"), *zip(table.index, words, strict=True)]
    return "".join(f"{index}\t{word}\n" for index, word in rows)


def _table(file: str, rows: Iterator[tuple[str, Example]]) -> ServerTable:
    found = list(rows)
    return ServerTable(file, tuple(index for index, _ in found), tuple(example for _, example in found))


def _of_file(task: str, path: Path) -> Iterator[tuple[str, Example]]:
    layout = glue.LAYOUTS[task]
    for number, row in tsv(path):
        index = (
            row["id"] if "index" not in row and "id" in row else cell(row, "index", path, number)
        )  # QQP's column is `id`
        yield index, _example([cell(row, column, path, number) for column in layout.text])


def _of_hub(source: _Source, commit: str | None) -> Iterator[tuple[str, Example]]:
    columns = glue.LAYOUTS[source.task].hub_text
    for row in hub.rows(glue.HUB, source.split, commit, config=source.config):
        yield str(_index(row)), _example([str(row[column]) for column in columns])


def _index(row: Mapping[str, Any]) -> int:
    return int(row["idx"])


def _example(texts: list[str]) -> Example:
    return Example(texts[0], texts[1] if len(texts) > 1 else None, None)


def glue_tables(experiment: Experiment, machine: Machine) -> Mapping[str, list[ServerTable]]:
    """Returns the test sets of each task, from the machine's folder of the task, or from the hub without such a folder.

    Raises ConfigError if the experiment has no GLUE task or no task has a test set; raises DataError for a table that
    cannot be read.
    """
    names = [task.name for task in experiment.evaluation.tasks if task.suite == "glue"]
    if not names:
        rule = "--glue-files is for experiments that are fine-tuned on tasks of GLUE, and this one is on none"
        raise ConfigError(Problem(rule, ("evaluation", "tasks")))
    places = Places(machine.places, Path())
    folders = {name: places.glue(name, None) for name in names}
    found = {name: list(server_tables(name, folder)) for name, folder in folders.items()}
    if not any(found.values()):
        given = ", ".join(str(folder) for folder in folders.values())
        rule = "no test set of the experiment's GLUE tasks is there"
        raise ConfigError(
            Problem(rule, allowed="test.tsv, of MNLI test_matched.tsv, as GLUE publishes them", given=given)
        )
    return found
