"""Downstream tasks on disk: labelled texts in JSON lines, one file for each split, found by content digest.

    train.jsonl dev.jsonl [dev_<other>.jsonl] [test.jsonl]    {"text_a", "text_b" (or null), "label" (number or null)}
    manifest.json    name, kind, labels, metrics, source, counts, digests

Scores are computed on `dev`. A task with a second dev set (MNLI's mismatched one) also has each metric for it, as
`<metric>_<other>`. A test split may lack labels, as GLUE's do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

from numpy.typing import ArrayLike

from pld_search.data import content_cache
from pld_search.data.task_metrics import METRICS, REGRESSION_METRICS, score
from pld_search.errors import DataError
from pld_search.frozen import canonical_json, digest_of
from pld_search.host.disk import file_digest
from pld_search.specs.experiment import Task

Suite = Literal["glue", "demo", "task"]
Kind = Literal["classification", "regression"]
FORMAT = 1


class Example(NamedTuple):
    """One text or pair of texts; `label` is a class number, a real number in a regression, or None if unknown."""

    text_a: str
    text_b: str | None
    label: int | float | None


@dataclass(frozen=True)
class TaskContent:
    """A task as read from its source: everything that its digest covers, and `about`, which it does not cover."""

    suite: Suite
    name: str
    kind: Kind
    metrics: tuple[str, ...]
    splits: Mapping[str, Sequence[Example]]
    label_names: tuple[str, ...] = ()
    about: str = ""
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> int:
        """The number of classes; 1 for a regression."""
        return len(self.label_names) if self.kind == "classification" else 1


def check(content: TaskContent) -> None:
    """Raises DataError for a task that cannot be trained and scored."""
    where = f"task {content.name}"
    unknown = [name for name in content.metrics if name not in METRICS]
    if unknown or not content.metrics:
        raise DataError(f"{where}: metrics are among {', '.join(METRICS)}; given: {', '.join(unknown) or 'none'}")
    if any((name in REGRESSION_METRICS) != (content.kind == "regression") for name in content.metrics):
        raise DataError(
            f"{where}: a regression is scored by pearson and spearman, a classification by the other metrics"
        )
    if content.kind == "classification" and content.labels < 2:
        raise DataError(f"{where}: a classification needs two classes or more")
    if "f1" in content.metrics and content.labels != 2:
        raise DataError(f"{where}: f1 is the score of class 1 of two classes; this task has {content.labels}")
    for name in ("train", "dev"):
        if not content.splits.get(name):
            raise DataError(f"{where}: the {name} split has no examples")
        if any(example.label is None for example in content.splits[name]):
            raise DataError(f"{where}: an example of the {name} split has no label")


def write(folder: Path, content: TaskContent) -> str:
    """Writes a task into the empty `folder` and returns its content digest."""
    check(content)
    files = []
    for split, examples in content.splits.items():
        files.append(f"{split}.jsonl")
        lines = (canonical_json(example._asdict()) + "\n" for example in examples)
        with (folder / files[-1]).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    covered = {
        "format": FORMAT,
        "suite": content.suite,
        "name": content.name,
        "kind": content.kind,
        "metrics": list(content.metrics),
        "label_names": list(content.label_names),
    }
    digest = digest_of({**covered, "contents": {name: file_digest(folder / name) for name in sorted(files)}})
    counts = {split: len(examples) for split, examples in content.splits.items()}
    manifest = {
        **covered,
        "digest": digest,
        "labels": content.labels,
        "examples": counts,
        "about": content.about,
        "notes": dict(content.notes),
    }
    content_cache.write_manifest(folder, manifest, files)
    return digest


class TaskData:
    """An opened task folder. Raises DataError if it is not complete."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = content_cache.read_manifest(self.folder)
        if self.manifest.get("format") != FORMAT or not content_cache.is_whole(self.folder):
            raise DataError(
                f"{self.folder}: not a whole task folder of this version; remove it and run `pld-search prepare` again"
            )

    @property
    def task(self) -> Task:
        """The task as an Experiment describes it."""
        named = {name: self.manifest[name] for name in ("suite", "name", "digest", "kind", "labels")}
        return Task(**named, metrics=tuple(self.manifest["metrics"]))

    @cached_property
    def train(self) -> list[Example]:
        """The training examples, read once."""
        return list(self._read("train"))

    @cached_property
    def dev(self) -> list[Example]:
        """The examples for the score of a fine-tuned model, read once."""
        return list(self._read("dev"))

    @cached_property
    def test(self) -> list[Example]:
        """The test split; empty if the task has none."""
        return list(self._read("test")) if "test" in self.manifest["examples"] else []

    @cached_property
    def dev_sets(self) -> dict[str, list[Example]]:
        """Every dev set by the suffix of its metrics: "" for `dev`, "_mismatched" for MNLI's second one."""
        others = {
            name.removeprefix("dev"): list(self._read(name))
            for name in self.manifest["examples"]
            if name.startswith("dev_")
        }
        return {"": self.dev, **others}

    def scores(self, predict: Callable[[list[Example]], ArrayLike]) -> dict[str, float]:
        """Returns every metric of every dev set; `predict` maps examples to class numbers, or to real numbers in a
        regression.
        """
        found: dict[str, float] = {}
        for suffix, examples in self.dev_sets.items():
            scored = score(self.manifest["metrics"], predict(examples), [_label_of(example) for example in examples])
            found.update({f"{metric}{suffix}": value for metric, value in scored.items()})
        return found

    def majority(self) -> dict[str, float]:
        """Returns every metric of a constant guess: the commonest label of the dev set, in a regression its mean. A
        fine-tuned model has to exceed it.
        """
        labels = [_label_of(example) for example in self.dev]
        common = max(sorted(set(labels)), key=labels.count) if self.task.kind == "classification" else fmean(labels)
        return self.scores(lambda examples: [common] * len(examples))

    def _read(self, split: str) -> Iterator[Example]:
        with (self.folder / f"{split}.jsonl").open(encoding="utf-8") as lines:
            yield from (Example(**json.loads(line)) for line in lines)


def _label_of(example: Example) -> float:
    assert example.label is not None  # `check` made sure when the task was written
    return example.label
