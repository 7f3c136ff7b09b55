"""Writes a task.yaml for a folder of tables without one: it guesses the splits, the text and label columns and the
metric.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from pld_search.data import custom_task
from pld_search.data.labelled_tables import Row, table
from pld_search.errors import DataError

_SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson")
_SPLITS = {"train": ("train",), "dev": ("dev", "valid", "validation", "val"), "test": ("test",)}
_LABELS = ("label", "labels", "class", "target", "score", "gold", "verdict")
_ROWS, _CLASSES = 2000, 50


def described_or_guessed(place: Path) -> str | None:
    """Returns the text of a task.yaml for this folder; None if it has one. Raises DataError and ConfigError."""
    if not place.is_dir() or (place / custom_task.FILE).is_file():
        custom_task.described(place)
        return None
    tables = {split: path for split, names in _SPLITS.items() if (path := _table(place, names)) is not None}
    missing = [split for split in ("train", "dev") if split not in tables]
    if missing:
        raise DataError(
            f"{place}: neither a {custom_task.FILE} nor a table for {' and '.join(missing)} (train.tsv, "
            "dev.csv, test.jsonl ...)"
        )
    rows = [row for _, row in islice(table(tables["train"]), _ROWS)]
    if not rows:
        raise DataError(f"{tables['train']}: the table has no rows")
    label, texts = _columns(rows, tables["train"])
    metric = (
        "[pearson, spearman]"
        if _is_scale(rows, label)
        else "[accuracy, f1]"
        if len({row[label] for row in rows}) == 2
        else "accuracy"
    )
    files = "".join(f"{split}: {json.dumps(path.name)}\n" for split, path in tables.items())
    return (
        f"{files}text: {json.dumps(texts)}\nlabel: {json.dumps(label)}\nmetric: {metric}   # accuracy | f1 | "
        "mcc, or pearson | spearman\n"
    )


def _table(place: Path, names: tuple[str, ...]) -> Path | None:
    return next(
        (place / f"{name}{suffix}" for name in names for suffix in _SUFFIXES if (place / f"{name}{suffix}").is_file()),
        None,
    )


def _columns(rows: list[Row], path: Path) -> tuple[str, list[str]]:
    """Returns the label column, found by its usual names, and the one or two columns with the longest text."""
    names = list(rows[0])
    label = next((name for word in _LABELS for name in names if name.lower() == word), None)
    if label is None:
        raise DataError(
            f"{path}: which column is the label? none is named {' | '.join(_LABELS)}; there are "
            f"{', '.join(names)}: write a {custom_task.FILE} beside it"
        )
    words = {name: sum(len(row[name].split()) for row in rows) / len(rows) for name in names if name != label}
    longest = sorted(words, key=lambda name: -words[name])[:2]
    texts = [name for name in names if name in longest and words[name] >= 2]
    if not texts:
        raise DataError(
            f"{path}: no column holds text; there are {', '.join(names)}: write a {custom_task.FILE} beside it"
        )
    return label, texts


def _is_scale(rows: list[Row], label: str) -> bool:
    """Whether the labels are numbers with a fraction, or more different numbers than classes are likely."""
    values = {row[label] for row in rows}
    try:
        numbers = {float(value) for value in values}
    except ValueError:
        return False
    return len(numbers) > _CLASSES or any(number != int(number) for number in numbers)
