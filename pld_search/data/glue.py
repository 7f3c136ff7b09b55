"""GLUE's nine tasks, from the files of gluebenchmark.com or from `nyu-mll/glue` on the hub (Wang et al., ICLR 2019).

Pitfalls of the files: CoLA's train and dev files have no header, MRPC's header starts with a byte order mark, quotes
are literal, MNLI has two dev sets, QQP has a few incomplete rows, test files have no labels. Metrics are the official
ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.data import hub
from pld_search.data.labelled_tables import cell, tsv
from pld_search.data.tasks import Example, Kind, TaskContent
from pld_search.errors import DataError

HUB = "nyu-mll/glue"
_MOST_TORN = 0.001  # the largest accepted share of incomplete rows in QQP; the published files have 0.0002
_ENTAILMENT = ("entailment", "not_entailment")
_MATCHED = {"train": "train", "dev": "dev_matched", "dev_mismatched": "dev_mismatched", "test": "test_matched"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The file layout of a task. `labels` are the words of the label column, by class; empty for a regression."""

    folder: str
    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    hub_text: tuple[str, ...]
    unnamed: tuple[str, ...] | None = None  # the columns if train and dev files have no header
    torn: bool = False


_SENTENCES = ("sentence1", "sentence2")
LAYOUTS: Mapping[str, Layout] = {
    "cola": Layout(
        "CoLA",
        ("sentence",),
        "label",
        ("0", "1"),
        ("mcc",),
        ("sentence",),
        unnamed=("source", "label", "mark", "sentence"),
    ),
    "sst2": Layout("SST-2", ("sentence",), "label", ("0", "1"), ("accuracy",), ("sentence",)),
    "mrpc": Layout("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1"), ("f1", "accuracy"), _SENTENCES),
    "stsb": Layout("STS-B", _SENTENCES, "score", (), ("pearson", "spearman"), _SENTENCES),
    "qqp": Layout(
        "QQP",
        ("question1", "question2"),
        "is_duplicate",
        ("0", "1"),
        ("f1", "accuracy"),
        ("question1", "question2"),
        torn=True,
    ),
    "mnli": Layout(
        "MNLI",
        _SENTENCES,
        "gold_label",
        ("entailment", "neutral", "contradiction"),
        ("accuracy",),
        ("premise", "hypothesis"),
    ),
    "qnli": Layout("QNLI", ("question", "sentence"), "label", _ENTAILMENT, ("accuracy",), ("question", "sentence")),
    "rte": Layout("RTE", _SENTENCES, "label", _ENTAILMENT, ("accuracy",), _SENTENCES),
    "wnli": Layout("WNLI", _SENTENCES, "label", ("0", "1"), ("accuracy",), _SENTENCES),
}


def split_files(name: str, folder: Path) -> dict[str, Path]:
    """Returns the existing files of a task's splits. Raises DataError if train or dev is missing."""
    names = _MATCHED if name == "mnli" else {split: split for split in ("train", "dev", "test")}
    files = {split: folder / f"{stem}.tsv" for split, stem in names.items()}
    for split in ("train", "dev"):
        if not files[split].is_file():
            raise DataError(f"{files[split]}: no such file; the task '{name}' is expected in GLUE's original layout")
    return {split: path for split, path in files.items() if path.is_file()}


def from_files(name: str, folder: Path) -> TaskContent:
    """Reads a task from a folder in GLUE's original layout. Raises DataError."""
    torn: list[None] = []
    splits = {
        split: list(_examples(name, path, split, lambda: torn.append(None)))
        for split, path in split_files(name, folder).items()
    }
    if len(torn) > _MOST_TORN * sum(len(examples) for examples in splits.values()) + 3:
        raise DataError(f"{folder}: {len(torn)} rows have missing cells; the files are damaged")
    return _content(name, splits, {"torn_rows_left_out": len(torn)} if torn else {})


def from_hub(name: str, commit: str | None) -> TaskContent:
    """Reads a task from `nyu-mll/glue` at a commit."""
    dev = (
        {"dev": "validation_matched", "dev_mismatched": "validation_mismatched"}
        if name == "mnli"
        else {"dev": "validation"}
    )
    test = "test_matched" if name == "mnli" else "test"
    return _content(
        name,
        {
            split: list(_hub_examples(name, source, commit))
            for split, source in {"train": "train", **dev, "test": test}.items()
        },
        {},
    )


def _content(name: str, splits: Mapping[str, list[Example]], notes: Mapping[str, int]) -> TaskContent:
    layout = LAYOUTS[name]
    kind: Kind = "classification" if layout.labels else "regression"
    return TaskContent("glue", name, kind, layout.metrics, splits, layout.labels, f"GLUE's {layout.folder}", notes)


def _examples(name: str, path: Path, split: str, skipped: Callable[[], None]) -> Iterator[Example]:
    layout = LAYOUTS[name]
    labelled = split != "test"
    for number, row in tsv(path, layout.unnamed if labelled else None, skipped if layout.torn else None):
        texts = [cell(row, column, path, number) for column in layout.text]
        label = label_of(cell(row, layout.label, path, number), layout.labels, f"{path}:{number}") if labelled else None
        yield Example(texts[0], texts[1] if len(texts) > 1 else None, label)


def label_of(written: str, labels: tuple[str, ...], where: str) -> int | float:
    """Returns a label's class number or, in a regression (no `labels`), its finite number. Raises DataError
    otherwise.
    """
    if labels:
        if written not in labels:
            raise DataError(f"{where}: '{written}' is no label of this task ({', '.join(labels)})")
        return labels.index(written)
    try:
        value = float(written)
    except ValueError as error:
        raise DataError(f"{where}: '{written}' is not a number") from error
    if not math.isfinite(value):
        raise DataError(f"{where}: '{written}' is not a finite number")
    return value


def _hub_examples(name: str, split: str, commit: str | None) -> Iterator[Example]:
    layout = LAYOUTS[name]
    for row in hub.rows(HUB, split, commit, config=name):
        texts = [str(row[column]) for column in layout.hub_text]
        yield Example(
            texts[0],
            texts[1] if len(texts) > 1 else None,
            None if split.startswith("test") else _hub_label(row["label"], layout),
        )


def _hub_label(value: Any, layout: Layout) -> int | float:
    return int(value) if layout.labels else float(value)
