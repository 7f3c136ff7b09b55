"""A small corpus and three tasks through the real `prepare`, and experiments on them that train in a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pld_search.costs.load_schedule import load_schedule
from pld_search.data.prepare_data import prepare
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Batch, Data, Evaluation, Experiment, Model, Optimizer, Validation
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import DataTemplate, EvaluationTemplate

TEXT = (
    "the state of our union is strong and every citizen may read what was done this year for peace trade war law "
    "money roads"
)
WORDS = TEXT.split()
LENGTH = 16


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sentence(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, size=rng.integers(4, 12))) + "."


def write_corpus(folder: Path) -> None:
    rng = np.random.default_rng(5)
    for number in range(12):
        (folder / f"{number:02d}.txt").write_text("\n".join(sentence(rng) for _ in range(60)), encoding="utf-8")


def write_task(folder: Path, *, pair: bool, regression: bool) -> None:
    rng = np.random.default_rng(7)
    folder.mkdir()
    columns = ["one", "two"] if pair else ["one"]
    for split, count in (("train", 40), ("dev", 20)):
        lines = []
        for _ in range(count):
            texts = {column: sentence(rng) for column in columns}
            label: Any = len(texts["one"]) / 10 if regression else ("yes" if "war" in texts["one"] else "no")
            lines.append(json.dumps({**texts, "label": label}) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    metric = "[pearson, spearman]" if regression else "[accuracy, f1]"
    text = f"train: train.jsonl\ndev: dev.jsonl\ntext: [{', '.join(columns)}]\nlabel: label\nmetric: {metric}\n"
    (folder / "task.yaml").write_text(text + ("" if regression else 'labels: ["no", "yes"]\n'), encoding="utf-8")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    base = tmp_path_factory.mktemp("text")
    write_corpus(base)
    write_task(base / "single", pair=False, regression=False)
    write_task(base / "pair", pair=True, regression=False)
    write_task(base / "number", pair=True, regression=True)
    data = DataTemplate.model_validate(
        {
            "train": {"text": ["*.txt"]},
            "validation": "15 %",
            "test": "15 %",
            "tokenizer": {"train": "wordpiece", "vocabulary": 120},
            "length": LENGTH,
        }
    )
    tasks = EvaluationTemplate.model_validate({"tasks": [{name: f"./{name}"} for name in ("single", "pair", "number")]})
    return prepare(data, tasks, tmp_path_factory.mktemp("cache"), places={}, base=base)


Builder = Callable[..., Experiment]


@pytest.fixture(scope="session")
def experiment(prepared: Prepared) -> Builder:
    """`experiment(schedule="pld", model={...}, ...)`: mappings change fields of a block, anything else replaces it."""
    blocks: dict[str, Any] = {
        "model": {
            "layers": 4,
            "hidden": 32,
            "heads": 2,
            "intermediate": 64,
            "vocabulary": prepared.corpus.vocabulary,
            "positions": "alibi",
            "dropout": 0.1,
            "attention_dropout": 0.1,
        },
        "data": {"corpus": prepared.corpus.corpus, "tokenizer": prepared.corpus.tokenizer, "length": LENGTH},
        "batch": {"sequences": 8, "groups": 2},
        "optimizer": {"lr": 1e-3, "warmup": "10 %"},
        "evaluation": {},
        "validation": {"every": "25 %", "sequences": 16},
    }
    classes = {
        "model": Model,
        "data": Data,
        "batch": Batch,
        "optimizer": Optimizer,
        "evaluation": Evaluation,
        "validation": Validation,
    }

    def build(
        *,
        schedule: str = "pld",
        steps: int = 20,
        precision: str = "fp32",
        seed: int = 0,
        tasks: bool = False,
        **changes: Any,
    ) -> Experiment:
        whole = {name: classes[name](**{**block, **changes.pop(name, {})}) for name, block in blocks.items()}
        if tasks:
            whole["evaluation"] = whole["evaluation"].model_copy(
                update={"tasks": tuple(task.task for task in prepared.tasks)}
            )
        resolved = load_schedule(schedule, layers=whole["model"].layers, steps=steps)
        return Experiment(**whole, precision=precision, schedule=resolved, steps=steps, seed=seed, **changes)

    return build


@pytest.fixture(scope="session")
def execution(prepared: Prepared) -> Callable[..., Execution]:
    def build(**changes: Any) -> Execution:
        return Execution(**{"threads": 1, "checkpoint_seconds": 1e9, "folders": prepared.folders, **changes})

    return build
