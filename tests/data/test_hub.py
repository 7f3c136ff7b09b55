"""The hub's doors, without the hub: `datasets` on a local folder, and what is said when nobody answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pld_search.data import hub
from pld_search.data.packed_corpus import Corpus
from pld_search.data.prepare_data import prepare
from pld_search.errors import DataError
from pld_search.specs.template import EvaluationTemplate
from tests.data.conftest import paragraph, tiny_data

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return


def test_a_local_dataset_is_streamed(offline: None, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text(
        "".join(json.dumps({"text": paragraph(seed)}) + "\n" for seed in range(5))
    )
    text = hub.HubText(str(tmp_path / "set"), "train", "text", None)
    assert ["".join(pieces) for pieces in text.documents("file")] == [paragraph(seed) for seed in range(5)]
    with pytest.raises(DataError, match="no text in the column 'body'; its columns are text"):
        list(hub.HubText(str(tmp_path / "set"), "train", "body", None).documents("file"))
    with pytest.raises(DataError, match="the split 'other' cannot be read through `datasets`"):
        list(hub.rows(str(tmp_path / "set"), "other", None))


def test_a_hub_corpus_is_pinned_to_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rows(name: str, split: str, revision: str | None, *, skip: int) -> Iterator[dict[str, str]]:
        asked.append((name, split, revision))
        yield from ({"body": paragraph(seed)} for seed in range(skip, 40))

    monkeypatch.setattr(hub, "rows", rows)
    monkeypatch.setattr(
        "huggingface_hub.HfApi", lambda: SimpleNamespace(repo_info=lambda *_, **__: SimpleNamespace(sha=COMMIT))
    )
    written = {"hub": "org/name", "split": "part", "field": "body"}
    first = prepare(
        tiny_data(tmp_path, train=written), EvaluationTemplate(), tmp_path / "cache", places={}, base=tmp_path
    )
    assert asked == [("org/name", "part", COMMIT)]
    pinned = tiny_data(tmp_path, train={**written, "revision": COMMIT})
    assert prepare(pinned, EvaluationTemplate(), tmp_path / "cache", places={}, base=tmp_path) == first
    assert len(asked) == 1
    assert sum(Corpus(first.corpus.folder).statistics["documents"].values()) == 40


def test_a_full_commit_needs_no_answer(offline: None) -> None:
    assert hub.commit("org/name", COMMIT) == COMMIT


def test_no_answer_is_said_with_a_way_out(offline: None) -> None:
    with pytest.raises(
        DataError, match=r"org/name: the Hugging Face hub cannot be asked which commit 'main' is .* or use local files"
    ):
        hub.commit("org/name", None)
    with pytest.raises(DataError, match=r"org/name: the tokenizer cannot be fetched .* give a folder or a vocab.txt"):
        hub.tokenizer_folder("org/name")


def test_a_tokenizer_from_the_hub(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Corpus(
        prepare(tiny_data(texts), EvaluationTemplate(), tmp_path / "cache", places={}, base=tmp_path).corpus.folder
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(trained.folder))
    given = prepare(
        tiny_data(texts, tokenizer="org/name"), EvaluationTemplate(), tmp_path / "cache", places={}, base=tmp_path
    )
    assert given.corpus.tokenizer == trained.tokenizer_digest


def test_streamed_rows_are_passed_over(tmp_path: Path) -> None:
    lines = [json.dumps({"body": f"row {number}"}) for number in range(10)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    assert [row["body"] for row in hub.rows(str(tmp_path), "train", None, skip=7)] == ["row 7", "row 8", "row 9"]
