"""`init` on generated files: what it sees, a study that validates and plans, and one clear line for every bad input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from transformers import BertForMaskedLM

from pld_search.app.prepare_study import prepare_study
from pld_search.app.starter_size import size_for
from pld_search.data.inspect_text import look
from pld_search.spaces.load_study import load_study
from pld_search.specs.machine import Machine
from tests.app.test_export_checkpoint import start_from
from tests.cli.conftest import Call

SENTENCE = "the patient was given a drug and the war was over "


def name(number: int) -> str:
    """A word of its own for every number: documents that are equal are never parted."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def lines(count: int) -> str:
    return "".join(f"{SENTENCE}{name(number)}\n" for number in range(count))


def records(count: int, start: int = 0) -> str:
    return "".join(
        json.dumps({"id": f"n{i}", "title": SENTENCE, "abstract": SENTENCE * 5 + name(i + start), "year": 2000}) + "\n"
        for i in range(count)
    )


def test_packed_records_and_a_task_without_a_description(call: Call, tmp_path: Path) -> None:
    (tmp_path / "pubmed").mkdir()
    for number in range(3):
        (tmp_path / "pubmed" / f"{number}.jsonl.zst").write_bytes(zstandard.compress(records(70, 70 * number).encode()))
    (tmp_path / "cp").mkdir()
    for split in ("train", "valid"):
        rows = "".join(f'{i},"{SENTENCE}, {i}",{"yes" if i % 2 else "no"}\n' for i in range(12))
        (tmp_path / "cp" / f"{split}.csv").write_text("number,sentence,label\n" + rows)
    done = call("init", "mine", "--text", "pubmed/*.jsonl.zst", "--task", "cp=cp/", "--task", "rte")
    assert done.exit_code == 0, done.stderr
    assert "3 files, about 210 documents" in done.stdout and "'abstract'" in done.stdout and "title, id" in done.stdout
    first = (tmp_path / "mine.yaml").read_text().splitlines()[0]
    schema = json.loads(Path(first.removeprefix("# yaml-language-server: $schema=")).read_text())
    assert schema["title"] == "A study of pld_search" and schema["properties"]["experiment"]["title"] == "experiment"
    assert call("validate", "mine.yaml").exit_code == 0
    assert call("plan", "mine.yaml").exit_code == 0
    study = load_study("./mine.yaml", ["evaluation.tasks=[{cp: ./cp}]", "data.tokenizer.vocabulary=200"])
    prepared = prepare_study(study, Machine(cache=str(tmp_path / "cache")))
    (task,) = prepared.tasks
    assert (task.task.kind, task.task.labels, task.task.metrics) == ("classification", 2, ("accuracy", "f1"))
    assert prepared.corpus.statistics["documents"]["train"] + 2 * prepared.corpus.statistics["documents"]["test"] > 0
    again = call("init", "mine", "--text", "pubmed/*.jsonl.zst")
    assert again.exit_code == 2 and "nothing is overwritten" in again.stderr


@pytest.mark.parametrize(
    ("device", "characters", "layers", "vocabulary", "steps"),
    [
        ("cpu", 100_000, 6, 1024, 300),
        ("cpu", 900_000, 6, 2048, 300),
        ("cpu", 11_000_000, 6, 4096, 300),
        ("cuda", 900_000, 6, 2048, 5859),
        ("cuda", 11_000_000, 6, 4096, 20_000),
        ("cuda", 60_000_000, 12, 16_384, 20_000),
    ],
)
def test_sizes_by_device_and_text(device: str, characters: int, layers: int, vocabulary: int, steps: int) -> None:
    """On a GPU a text of 300,000 tokens is read 40 times by 40 x 300,000 / (32 x 64) = 5,859 steps."""
    size = size_for(device, characters)
    assert (size.layers, size.vocabulary, size.steps) == (layers, vocabulary, steps)
    assert ("dropout: 0" in size.model) == (layers == 6)


def test_a_regression_of_pairs_is_seen(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(30))
    (tmp_path / "sts").mkdir()
    for split in ("train", "dev", "test"):
        rows = "".join(f"{SENTENCE}\t{SENTENCE}\t{i / 4}\n" for i in range(9))
        (tmp_path / "sts" / f"{split}.tsv").write_text("one\ttwo\tscore\n" + rows)
    assert call("init", "pairs", "--text", "a.txt", "--task", "sts=sts").exit_code == 0
    text = (tmp_path / "sts" / "task.yaml").read_text()
    assert 'text: ["one", "two"]' in text and "[pearson, spearman]" in text and "test.tsv" in text
    assert "document: line" in (tmp_path / "pairs.yaml").read_text()


@pytest.mark.parametrize(
    ("files", "content", "unit", "documents"),
    [(25, "a b\n\nc d\n", "file", 25), (2, "a b\n\nc d\n\ne f\n\ng\n", "paragraph", 8)],
)
def test_units_of_plain_text(tmp_path: Path, files: int, content: str, unit: str, documents: int) -> None:
    for number in range(files):
        (tmp_path / f"{number}.txt").write_text(content)
    seen = look(["*.txt"], tmp_path)
    assert (seen.files, seen.document, seen.documents, seen.field) == (files, unit, documents, None)


def test_large_files_are_estimated_from_their_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(records(12_000))
    assert look(["a.jsonl"], tmp_path).documents == pytest.approx(12_000, rel=0.02)
    (tmp_path / "b.jsonl.gz").write_bytes(
        gzip.compress("".join(json.dumps({"text": f"{i * 7919} {i}" * 20}) + "\n" for i in range(12_000)).encode())
    )
    assert look(["b.jsonl.gz"], tmp_path).documents == pytest.approx(12_000, rel=0.3)


def test_a_checkpoint_to_start_from(call: Call, tmp_path: Path) -> None:
    start_from(BertForMaskedLM, tmp_path / "bert")
    (tmp_path / "a.txt").write_text(lines(30))
    done = call("init", "onward", "--text", "a.txt", "--from", "bert")
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "onward.yaml").read_text()
    assert 'model: {from: "./bert"}' in text and "length: 48 " in text
    assert "pre-norm" in call("plan", "onward.yaml").stdout
    assert prepare_study(load_study("./onward.yaml"), Machine(cache=str(tmp_path / "cache"))).checkpoint is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bad name", "--text", "a.txt"), "NAME becomes"),
        (("x", "--text", "none/*.txt"), "no file matches"),
        (("x", "--text", "empty.txt"), "no text"),
        (("x", "--text", "short.txt"), "too few documents"),
        (("x", "--text", "a.txt", "--text", "r.jsonl"), "JSON lines and plain text"),
        (("x", "--text", "broken.jsonl"), "not a JSON object"),
        (("x", "--text", "numbers.jsonl"), "no field holds text"),
        (("x", "--text", "binary.txt"), "cannot be read"),
        (("x", "--text", "broken.txt.zst"), "cannot be read"),
        (("x", "--text", "a.txt", "--task", "rtee"), "did you mean rte"),
        (("x", "--text", "a.txt", "--task", "cp="), "NAME=DIR"),
        (("x", "--text", "a.txt", "--task", "cp=none"), "no such file"),
        (("x", "--text", "a.txt", "--task", "cp=folder"), "neither a task.yaml nor a table"),
        (("x", "--text", "a.txt", "--task", "cp=nolabel"), "which column is the label"),
        (("x", "--text", "a.txt", "--from", "./none"), "no such folder"),
    ],
)
def test_every_bad_input_is_one_line_and_leaves_nothing(
    call: Call, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "a.txt").write_text(lines(30))
    (tmp_path / "empty.txt").touch()
    (tmp_path / "short.txt").write_text("one line\n")
    (tmp_path / "r.jsonl").write_text(records(5))
    (tmp_path / "broken.jsonl").write_text(records(5) + "{no\n")
    (tmp_path / "numbers.jsonl").write_text('{"a": 1}\n' * 5)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00" * 50)
    (tmp_path / "broken.txt.zst").write_bytes(b"not packed at all")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nolabel").mkdir()
    for split in ("train", "dev"):
        (tmp_path / "nolabel" / f"{split}.csv").write_text("text,kind\na b c,1\n")
    before = sorted(tmp_path.rglob("*"))
    done = call("init", *words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
