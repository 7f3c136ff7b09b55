"""`export` on really trained runs: from YAML over training to a folder that transformers loads alone; subnetworks,
cards, refusals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import BertConfig, BertForPreTraining, BertModel

from pld_search.app.prepare_study import prepare_study
from pld_search.data import wordpiece
from pld_search.model.build_model import load_bert
from pld_search.model.subnetwork import subnetwork
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver
from pld_search.specs.machine import Machine
from pld_search.specs.spec_files import read_execution, read_experiment, write_execution, write_experiment
from pld_search.training.train_run import train
from tests.cli.conftest import Call

STUDY = """
name: small
experiment:
  model: {layers: 4, hidden: 32, heads: 2, max_length: 32, dropout: 0, attention_dropout: 0}
  data: {train: {text: [./*.txt]}, validation: 20 %, test: 20 %, document: line, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
  validation: {every: 50 %, sequences: 16}
  schedule: pld
budget: {steps: 6}
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = (*wordpiece.SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "war", "peace")

Trained = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """`trained("name", "model.norm=post")`: a run folder of the study above with these changes, trained in this
    process.
    """
    base = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(5)
    words = [
        "the",
        "war",
        "and",
        "the",
        "peace",
        "of",
        "a",
        "union",
        "are",
        "strong",
        "every",
        "citizen",
        "may",
        "read",
        "it",
    ]
    (base / "corpus.txt").write_text("\n".join(" ".join(rng.choice(words, size=30)) for _ in range(80)))
    (base / "study.yaml").write_text(STUDY)
    torch.set_num_threads(1)

    def run(name: str, *sets: str, study: str = STUDY) -> Path:
        (base / f"{name}.yaml").write_text(study)
        found = load_study(base / f"{name}.yaml", sets)
        machine = Machine(cache=str(base / "cache"))
        prepared = prepare_study(found, machine)
        what = Resolver(found, prepared).experiment(found.experiment)
        folder = base / "runs" / name
        how = machine.execution("cpu", 1, prepared.folders)
        write_experiment(folder / "experiment.yaml", what)
        write_execution(folder / "execution.yaml", how)
        assert train(what, how, folder).state == "finished"
        return folder

    return run


@pytest.fixture(scope="module")
def pre(trained: Trained) -> Path:
    return trained("pre")


CLEAN = """
import json, sys
sys.modules["pld_search"] = None  # importing it raises ImportError
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
for folder in sys.argv[1:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    hidden = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    batch = tokenizer(["the war and the [MASK] of a union", "every citizen may [MASK]"], padding=True, return_tensors="pt")
    print(json.dumps({"ids": batch["input_ids"].tolist(), "mask": batch["attention_mask"].tolist(), "logits": model(**batch).logits.tolist(),
                      "hidden": list(hidden(**batch).last_hidden_state.shape), "class": type(model).__name__, "longest": tokenizer.model_max_length}))
assert not [name for name in sys.modules if name.startswith("pld_search.")]
"""


def clean_process(*folders: Path) -> list[dict[str, Any]]:
    """What a process without pld-search computes with exports."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-c", CLEAN, *map(str, folders)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=folders[0].parent)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_becomes_a_folder_that_needs_nothing_of_ours(call: Call, pre: Path, tmp_path: Path) -> None:
    done = call("export", pre, "--out", "plain", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["architecture"] == "RobertaPreLayerNormForMaskedLM"
    assert call("export", pre, "--out", "half", "--layers", 2).exit_code == 0
    whole, half = clean_process(tmp_path / "plain", tmp_path / "half")
    assert (whole["class"], whole["hidden"][-1], whole["longest"]) == ("RobertaPreLayerNormForMaskedLM", 32, 16)
    ids, mask = torch.tensor(whole["ids"]), torch.tensor(whole["mask"])
    assert not mask.all()
    (checkpoint,) = (pre / "checkpoints").iterdir()
    mine = load_bert(checkpoint).eval()
    for found, model in ((whole, mine), (half, subnetwork(mine, (1, 3)))):
        assert_close(
            torch.tensor(found["logits"])[mask.bool()], model(ids, mask).logits[mask.bool()], rtol=1e-5, atol=1e-5
        )
    pieces = wordpiece.load(tmp_path / "plain")
    words = pieces.encoder.encode("the war and the", add_special_tokens=False).ids
    assert whole["ids"][0][: len(words) + 1] == [pieces.specials.cls, *words]
    assert pieces.specials.mask in whole["ids"][0]


def test_the_card_tells_what_the_run_recorded(call: Call, pre: Path, tmp_path: Path) -> None:
    assert call("export", pre, "--out", "plain").exit_code == 0
    text = (tmp_path / "plain" / "README.md").read_text()
    final = {event["event"]: event for event in map(json.loads, (pre / "events.jsonl").read_text().splitlines())}
    started = final["started"]
    for fact in (
        started["digest"],
        started["experiment"]["data"]["corpus"],
        started["experiment"]["data"]["tokenizer"],
        "6 steps of 8 sequences of 16 (768 positions)",
        "name: pld",
        "rate: 100 / run",
        f"| `test/loss` | {final['evaluated']['metrics']['test/loss']:.4f} |",
        f"| `saved/flops` | {final['finished']['metrics']['saved/flops']:.4f} |",
        "positions beyond 16 were never trained",
    ):
        assert fact in text, fact
    assert "| `valid/loss` |" in text and str(tmp_path) not in text and str(pre) not in text


def test_a_subnetwork_and_what_it_loses(call: Call, pre: Path, tmp_path: Path) -> None:
    done = call("export", pre, "--out", "half", "--layers", 2, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kept"] == [1, 3]
    recorded = [
        event["metrics"]["valid/loss"]
        for event in map(json.loads, (pre / "events.jsonl").read_text().splitlines())
        if event["event"] == "valid"
    ]
    assert found["valid/loss"]["whole"] == pytest.approx(recorded[-1], abs=1e-6)
    assert found["valid/loss"]["subnetwork"] != found["valid/loss"]["whole"]
    assert "layers 1, 3 of 4 kept" in done.stderr and "nats" in done.stderr
    assert f"| 2 layers | {found['valid/loss']['subnetwork']:.4f} |" in (tmp_path / "half" / "README.md").read_text()
    assert (
        json.loads(call("export", pre, "--out", "same", "--layers", "1,3", "--json").stdout)["valid/loss"]
        == found["valid/loss"]
    )


def test_a_run_that_grew_is_exported_at_its_final_depth(call: Call, trained: Trained, tmp_path: Path) -> None:
    grown = trained(
        "grown",
        study=STUDY.replace(
            "schedule: pld",
            "schedule: full\n  growth: {stages: {0 %: 1, 30 %: 2, 60 %: 4}, weights: stack, moments: copy}",
        ),
    )
    done = call("export", grown, "--out", "plain", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["layers"] == 4
    card = (tmp_path / "plain" / "README.md").read_text()
    assert (
        "- growth: 1 from 0 % of the run on, 2 from 30 % of the run on, 4 from 60 % of the run on; weights "
        "of new layers `stack`" in card
    )
    one = call("export", grown, "--out", "one", "--layers", 1, "--json")
    assert one.exit_code == 0, one.stderr
    assert "layer 2 of 4 kept" in one.stderr and json.loads(one.stdout)["valid/loss"]["subnetwork"] > 0
    recorded = [
        event["metrics"]["valid/loss"]
        for event in map(json.loads, (grown / "events.jsonl").read_text().splitlines())
        if event["event"] == "valid"
    ]
    assert json.loads(one.stdout)["valid/loss"]["whole"] == pytest.approx(recorded[-1], abs=1e-6)


@pytest.mark.parametrize("layers", ["0", "5", "1,1", "3,1", "1,5", "two", "1,", "²"])
def test_layers_that_make_no_sense(call: Call, pre: Path, tmp_path: Path, layers: str) -> None:
    done = call("export", pre, "--out", "x", "--layers", layers)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1 and "--layers" in done.stderr and layers in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_started_by_hand_is_exported_like_any_other(call: Call, pre: Path, tmp_path: Path) -> None:
    what, how = read_experiment(pre / "experiment.yaml"), read_execution(pre / "execution.yaml")
    written = tmp_path / "mine" / "one.yaml"
    write_experiment(written, what)
    write_execution(written.with_name("execution.yaml"), how)
    out = tmp_path / "out"
    done = call("train", written, "--out", out, "--until", 2)
    assert done.exit_code == 0, done.stderr
    assert (read_experiment(out / "experiment.yaml"), read_execution(out / "execution.yaml")) == (what, how)
    exported = call("export", out, "--out", tmp_path / "plain")
    assert exported.exit_code == 0, exported.stderr
    write_experiment(written, what.model_copy(update={"seed": what.seed + 1}))
    for begun in (True, False):
        if not begun:
            (out / "events.jsonl").unlink()
        other = call("train", written, "--out", out)
        assert (other.exit_code, other.stdout) == (2, "")
        assert other.stderr.count("\n") == 1
        assert f"another run; {'allowed' if begun else 'give this one a folder of its own'}" in other.stderr
    assert read_experiment(out / "experiment.yaml") == what


def test_what_cannot_be_exported_is_refused_with_the_reason(call: Call, trained: Trained, tmp_path: Path) -> None:
    scaled = "{base: pld, rescale: evaluation}"
    run = trained("alibi", "model.positions=alibi", f"schedule={scaled}", "budget.steps=2")
    done = call("export", run, "--out", "x")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 2 and "ALiBi" in done.stderr and "schedule.rescale" in done.stderr
    learned = trained("scaled", f"schedule={scaled}", "budget.steps=2")
    assert call("export", learned, "--out", "x").exit_code == 2
    assert call("export", learned, "--out", "part", "--layers", 3).exit_code == 0
    halves = trained("halves", "schedule={base: pld, rescale: evaluation, draw.unit: sublayer}", "budget.steps=2")
    assert call("export", halves, "--out", "folded").exit_code == 0
    assert not (tmp_path / "x").exists()


def test_places_that_hold_nothing_to_export(call: Call, pre: Path, tmp_path: Path) -> None:
    (checkpoint,) = (pre / "checkpoints").iterdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "copy").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "copy" / name).write_bytes((checkpoint / name).read_bytes())
    for words, message in (
        (("nowhere", "--out", "x"), "no such study"),
        (("./no/where", "--out", "x"), "no such folder"),
        (("full", "--out", "x"), "neither a run"),
        ((pre, "--out", "full"), "nothing is overwritten"),
        (("copy", "--out", "x"), "--tokenizer"),
        (("copy", "--out", "x", "--tokenizer", "gone"), "gone is not there"),
    ):
        done = call("export", *words)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr
    assert (
        call(
            "export",
            "copy",
            "--out",
            "x",
            "--tokenizer",
            next((pre.parent.parent / "cache" / "corpora").glob("*/tokenizer.json")),
        ).exit_code
        == 0
    )
    assert "how it was trained is not known" in (tmp_path / "x" / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "full", "x"]


def start_from(kind: Any, folder: Path) -> Any:
    """A random BERT of transformers with its tokenizer."""
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 48,
    }
    model = kind(BertConfig(vocab_size=len(PIECES), **shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.02)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    return model


def continued(folder: Path | str) -> str:
    head, _, rest = STUDY.partition("  model: ")
    text = f"{head}  model: {{from: {folder}}}\n" + rest.split("\n", 1)[1]
    return text.replace("{train: wordpiece, vocabulary: 120}", str(folder))


@pytest.mark.parametrize("kind", [BertForPreTraining, BertModel])
def test_a_checkpoint_of_transformers_is_continued_and_goes_back(
    call: Call, kind: Any, trained: Trained, tmp_path: Path
) -> None:
    start = start_from(kind, tmp_path / "start")
    run = trained(kind.__name__, study=continued(tmp_path / "start"))
    done = call("export", run, "--out", "back")
    assert done.exit_code == 0, done.stderr
    assert "untrained since" in done.stdout
    back, report = kind.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not report["missing_keys"]
    moved = {name for name, tensor in start.state_dict().items() if not torch.equal(back.state_dict()[name], tensor)}
    assert any("layer.0" in name for name in moved)
    assert not any("pooler" in name or "seq_relationship" in name for name in moved)
    assert "started from a checkpoint with the content digest" in (tmp_path / "back" / "README.md").read_text()


def test_an_export_can_be_continued_in_its_turn(call: Call, pre: Path, trained: Trained, tmp_path: Path) -> None:
    assert call("export", pre, "--out", "plain").exit_code == 0
    again = trained("again", "budget.steps=1", "optimizer.lr=1e-9", study=continued(tmp_path / "plain"))
    (first,), (second,) = ((folder / "checkpoints").iterdir() for folder in (pre, again))
    for name, tensor in load_bert(first).state_dict().items():
        assert_close(load_bert(second).state_dict()[name], tensor, rtol=0, atol=1e-6)
