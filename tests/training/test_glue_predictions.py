"""Files for GLUE's server from a checkpoint: the best fine-tuning of each task predicts, and every file is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pld_search.data.glue_server import server_tables
from pld_search.data.prepare_data import prepare
from pld_search.host.signals import StopRequest
from pld_search.model.bert import PldBertForSequenceClassification
from pld_search.records.run_record import RunWriter
from pld_search.specs.experiment import Experiment
from pld_search.specs.template import DataTemplate, EvaluationTemplate
from pld_search.training import glue_predictions
from pld_search.training.finetune import Finetuning
from pld_search.training.glue_predictions import write_glue_files
from pld_search.training.train_run import train
from tests.training.conftest import LENGTH, sentence, write_corpus

Builder = Callable[..., Any]
SMALL = {"layers": 2, "hidden": 16, "heads": 2, "intermediate": 32}
SETTINGS = {"epochs": 1, "length": 24, "batch": 8, "lr": (1e-6, 3e-3), "seeds": 2}
TESTS = 7


def write_glue(folder: Path) -> None:
    """MNLI with its two test sets and the diagnostics, CoLA with a test set, RTE without one."""
    rng = np.random.default_rng(7)

    def pairs(count: int, label: str, words: tuple[str, ...]) -> str:
        head = "\t".join(["index", "sentence1", "sentence2", *([label] if words else [])])
        rows = [
            "\t".join([str(number), sentence(rng), sentence(rng), *([words[number % len(words)]] if words else [])])
            for number in range(count)
        ]
        return "\n".join([head, *rows]) + "\n"

    kinds = ("entailment", "neutral", "contradiction")
    texts = {
        "MNLI/train": pairs(40, "gold_label", kinds),
        "MNLI/dev_matched": pairs(20, "gold_label", kinds),
        "MNLI/dev_mismatched": pairs(20, "gold_label", kinds),
        "MNLI/test_matched": pairs(TESTS, "", ()),
        "MNLI/test_mismatched": pairs(TESTS, "", ()),
        "diagnostic/diagnostic": pairs(TESTS, "", ()),
        "RTE/train": pairs(20, "label", ("entailment", "not_entailment")),
        "RTE/dev": pairs(10, "label", ("entailment", "not_entailment")),
        "CoLA/train": "".join(f"x\t{number % 2}\t\t{sentence(rng)}\n" for number in range(40)),
        "CoLA/dev": "".join(f"x\t{number % 2}\t\t{sentence(rng)}\n" for number in range(20)),
        "CoLA/test": "index\tsentence\n" + "".join(f"{number}\t{sentence(rng)}\n" for number in range(TESTS)),
    }
    for place, text in texts.items():
        file = folder / f"{place}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def glue(tmp_path: Path, experiment: Builder, execution: Builder) -> tuple[Experiment, Any, Path]:
    """An experiment with three tasks of GLUE, its execution, and GLUE's folder."""
    texts, folder = tmp_path / "texts", tmp_path / "glue"
    texts.mkdir()
    write_corpus(texts)
    write_glue(folder)
    written = {
        "train": {"text": ["*.txt"]},
        "validation": "15 %",
        "test": "15 %",
        "tokenizer": {"train": "wordpiece", "vocabulary": 120},
        "length": LENGTH,
    }
    tasks = EvaluationTemplate.model_validate({"tasks": ["cola", "mnli", "rte"]})
    data = DataTemplate.model_validate(written)
    found = prepare(data, tasks, tmp_path / "cache", places={"glue": str(folder)}, base=texts)
    corpus = {"corpus": found.corpus.corpus, "tokenizer": found.corpus.tokenizer, "length": LENGTH}
    evaluation = {**SETTINGS, "tasks": tuple(task.task for task in found.tasks)}
    model = {**SMALL, "vocabulary": found.corpus.vocabulary}
    return (
        experiment(steps=2, model=model, data=corpus, evaluation=evaluation),
        execution(folders=found.folders),
        folder,
    )


def test_every_test_set_gets_a_file_from_the_best_fine_tuning(
    glue: tuple[Experiment, Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, how, folder = glue
    record = train(what, how, tmp_path / "run")
    checkpoint = next((tmp_path / "run" / "checkpoints").iterdir())
    tables = {name: list(server_tables(name, folder / place)) for name, place in (("cola", "CoLA"), ("mnli", "MNLI"))}
    tuned: list[tuple[str, int]] = []

    class Watched(Finetuning):
        def tune(self, number: int, log: RunWriter | None, stop: StopRequest) -> PldBertForSequenceClassification:
            tuned.append((self._task.name, number))
            return super().tune(number, log, stop)

    monkeypatch.setattr(glue_predictions, "Finetuning", Watched)
    written = write_glue_files(what, how, checkpoint, tmp_path / "run", tmp_path / "out", tables)
    assert [file.name for file in written] == ["CoLA.tsv", "AX.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]
    allowed = {"CoLA.tsv": {"0", "1"}}
    for file in written:
        head, *rows = [line.split("\t") for line in file.read_text().splitlines()]
        assert head == ["index", "prediction"]
        assert [index for index, _ in rows] == [str(number) for number in range(TESTS)]
        words = allowed.get(file.name, {"entailment", "neutral", "contradiction"})
        assert {word for _, word in rows} <= words
    # the run has fine-tuned all four of each task: the best is trained once more, nothing else
    best = {}
    for name in ("cola", "mnli"):
        means = [np.mean(list(event.scores.values())) for event in record.fine_tunings if event.task == name]
        assert len(means) == 4
        best[name] = int(np.argmax(means))
    assert tuned == [("cola", best["cola"]), ("mnli", best["mnli"])]
    again = {file: file.read_bytes() for file in written}
    write_glue_files(what, how, checkpoint, tmp_path / "run", tmp_path / "out", tables)
    assert {file: file.read_bytes() for file in written} == again
