"""`model: {from: ...}` at the command line: validate and plan read the architecture, prepare says what is missing,
conflicts have a place.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import BertForMaskedLM, BertModel

from tests.app.test_export_checkpoint import STUDY, Trained, continued, start_from, trained
from tests.cli.conftest import Call

__all__ = ["trained"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    start_from(BertModel, tmp_path / "start")
    (tmp_path / "corpus.txt").write_text(
        "\n".join(["the war and the peace of a union", "a citizen may read it", "strong are the roads"] * 30)
    )
    (tmp_path / "study.yaml").write_text(continued("./start"))
    (tmp_path / "machine.yaml").write_text("cache: ./cache\n")
    return tmp_path / "study.yaml"


def test_plan_reads_the_architecture_and_says_what_is_known(call: Call, study: Path) -> None:
    assert call("validate", study).exit_code == 0
    done = call("plan", study, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = found["systems"]
    assert (row["layers"], row["norm"], found["vocabulary_assumed"]) == (3, "post", 60)
    assert len(found["notes"]) == 1 and "pre-norm" in found["notes"][0]
    assert "note: layers are dropped in a post-norm model" in call("plan", study).stdout
    assert json.loads(call("plan", study, "--json", "--set", "schedule=full").stdout)["notes"] == []
    assert not (study.parent / "cache").exists()


def test_prepare_says_what_the_checkpoint_lacks(call: Call, study: Path) -> None:
    done = call("prepare", study, "--json")
    assert done.exit_code == 0, done.stderr
    assert (
        "BertModel, post-norm, 3 layers of 32, 60 tokens; it has no masked-LM head, which is initialised by "
        "the run's seed" in done.stderr
    )
    assert json.loads(done.stdout)["checkpoint"]["model"]["checkpoint"].startswith("sha256:")
    start_from(BertForMaskedLM, study.parent / "whole")
    assert "no masked-LM head" not in call("prepare", study, "--json", "--set", "model.from=./whole").stderr


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("{from: ./start}", "{from: ./start, layers: 6, hidden: 8}", "4 experiment.model.hidden", "of the checkpoint"),
        ("{from: ./start}", "{from: ./nowhere}", "4 experiment.model.from", "no such folder"),
        ("{from: ./start}", "{from: ./start, revision: main}", "4 experiment.model.revision", "hub"),
        ("length: 16", "length: 64", "5 experiment.data.length", "at most 48"),
    ],
)
def test_conflicts_have_a_place(call: Call, study: Path, old: str, new: str, place: str, message: str) -> None:
    text = study.read_text()
    assert old in text
    study.write_text(text.replace(old, new))
    done = call("plan", study)
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    line, path = place.split()
    assert f"study.yaml:{line}:" in done.stderr and f": {path}: " in done.stderr


def test_other_tokens_than_the_checkpoints_are_refused(call: Call, study: Path) -> None:
    vocabulary = (study.parent / "start" / "vocab.txt").read_text()
    (study.parent / "other.txt").write_text(vocabulary.replace("war\n", "raw\n"))
    done = call("prepare", study, "--set", "data.tokenizer=./other.txt")
    assert done.exit_code == 2
    assert "the first difference is token 58" in done.stderr


def test_a_tokenizer_may_be_trained_where_it_is_known_to_be_the_checkpoints(
    call: Call, study: Path, trained: Trained
) -> None:
    """Our own checkpoint on its own text needs no more than the words of its study; another one has to name its
    tokenizer.
    """
    own = trained("own", "budget.steps=1")
    again = trained(
        "onward",
        "budget.steps=1",
        study=STUDY.replace(
            STUDY.split("  model: ")[1].split("\n")[0], f"{{from: {next((own / 'checkpoints').iterdir())}}}"
        ),
    )
    assert (again / "events.jsonl").is_file()
    text = study.read_text().replace("tokenizer: ./start", "tokenizer: {train: wordpiece, vocabulary: 120}")
    study.write_text(text)
    for message in ("other tokens", "tokens are not known"):
        done = call("prepare", study)
        assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
        assert "study.yaml:5:" in done.stderr
        (study.parent / "start" / "vocab.txt").unlink(missing_ok=True)
