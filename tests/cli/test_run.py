"""A whole study from the command line: real processes, real training, at the smallest size."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

STUDY = """
name: tiny
experiment:
  model: {layers: 2, hidden: 16, heads: 2, positions: rope, feed_forward: geglu, token_types: false, first_norm: false,
          dropout: 0, attention_dropout: 0}
  data: {train: {text: [./corpus.txt]}, validation: 20 %, test: 20 %, document: paragraph, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 4}
  optimizer: {lr: 1e-3}
  precision: fp32
  schedule: pld
budget: {steps: 4, equal: flops}
systems:
  full: {schedule: full}
  pld: {}
reference: full
"""


def write_study(folder: Path) -> None:
    generator = random.Random(0)
    words = ["".join(generator.choice("abcdefghij") for _ in range(4)) for _ in range(60)]
    paragraphs = [" ".join(generator.choice(words) for _ in range(40)) + "." for _ in range(40)]
    (folder / "corpus.txt").write_text("\n\n".join(paragraphs))
    (folder / "tiny.yaml").write_text(STUDY)
    (folder / "machine.yaml").write_text("slots: 1\nthreads: 1\ncache: cache\nspeed_probes: 1\n")


def test_a_study_runs_continues_and_is_looked_at(call: Call, tmp_path: Path) -> None:
    write_study(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pld_search", "run", "tiny.yaml", "--json"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert [(row["trial"], row["system"], row["state"]) for row in table] == [
        (0, "full", "finished"),
        (1, "pld", "finished"),
    ]
    assert all({"valid/loss", "test/loss", "saved/flops", "progress/tflop"} <= set(row) for row in table)
    for text in ("full seed 0: finished", "runs/tiny/report.html", "pld-search ui tiny"):
        assert text in done.stderr
    assert (tmp_path / "runs" / "mlflow.db").is_file()
    _nothing_runs_twice(call, tmp_path)
    _the_winner_is_exported(call, tmp_path)
    _a_checkpoint_is_evaluated(call, tmp_path, table)
    _the_winner_is_a_study(call, tmp_path, table)


def _the_winner_is_exported(call: Call, folder: Path) -> None:
    best = json.loads(call("best", "tiny", "--json").stdout)
    done = call("export", "tiny", "--out", "plain")
    assert done.exit_code == 0, done.stderr
    assert f"the winner's run: {best['run']}\n" in done.stdout and "ModernBertForMaskedLM in plain" in done.stdout
    assert best["run"] == f"runs/tiny/trials/{best['trial']:04}/seed-0" and (folder / best["run"]).is_dir()


def _nothing_runs_twice(call: Call, tmp_path: Path) -> None:
    events = tmp_path / "runs" / "tiny" / "study.jsonl"
    before = events.read_text().count('"launched"')
    for source in ("tiny.yaml", "runs/tiny/study.yaml"):
        done = call("run", source, "--tracking-uri", f"sqlite:///{tmp_path}/runs/mlflow.db")
        assert done.exit_code == 0, done.stderr
        assert "2 runs (2 finished)" in done.stdout
    assert events.read_text().count('"launched"') == before == 2
    changed = call("run", "tiny.yaml", "--set", "optimizer.lr=2e-3")
    assert changed.exit_code == 2
    assert "0.001 -> 0.002" in changed.stderr
    assert "takes no --set" in call("run", "runs/tiny/study.yaml", "--set", "optimizer.lr=2e-3").stderr
    assert "about" in call("plan", "tiny.yaml").stdout


def _a_checkpoint_is_evaluated(call: Call, tmp_path: Path, table: list[dict[str, float]]) -> None:
    run = tmp_path / "runs" / "tiny" / "trials" / "0001" / "seed-0"
    checkpoint = max((run / "checkpoints").iterdir())
    done = call("evaluate", checkpoint, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["test/loss"] == pytest.approx(table[1]["test/loss"], rel=1e-5)
    again = call("train", run / "experiment.yaml", "--out", run)
    assert again.exit_code == 0
    assert again.stdout.startswith("finished at step")


def _the_winner_is_a_study(call: Call, tmp_path: Path, table: list[dict[str, float]]) -> None:
    """Written into another folder it plans runs of the same schedules, steps and FLOPs as those it came from."""
    written = tmp_path / "elsewhere" / "won.yaml"
    done = call("best", "tiny", "--as", "study", "--out", written)
    assert done.exit_code == 0, done.stderr
    assert call("validate", written).exit_code == 0
    plan = json.loads(call("plan", written, "--json").stdout)
    assert plan["study"] == "tiny-winner"
    assert {row["schedule"]: (row["steps"], row["tflop"]) for row in plan["systems"]} == {
        row["schedule"]: (row["steps"], pytest.approx(row["forecast/total_flops"] / 1e12)) for row in table
    }


@pytest.mark.parametrize("code", [1, 130, 143])
def test_the_coordinators_code_is_the_exit_code(
    call: Call, study: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(Path.cwd())
    monkeypatch.setattr("pld_search.app.run_study.run_study", lambda *_, **__: code)
    done = call("run", "tiny.yaml", "--set", "name=small")
    assert done.exit_code == code
    assert ("every run keeps its last checkpoint" in done.stderr) == (code != 1)
    assert "half" in done.stdout


def test_nothing_feasible_still_shows_what_there_is(call: Call, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pld_search.errors import NothingFeasible

    def fail(*_: object, **__: object) -> int:
        raise NothingFeasible("none of 3 sampled configurations is feasible")

    write_study(Path.cwd())
    monkeypatch.setattr("pld_search.app.run_study.run_study", fail)
    done = call("run", "tiny.yaml", "--set", "name=small", "--json")
    assert done.exit_code == 3
    assert len(json.loads(done.stdout)) == 3
    assert done.stderr.strip().endswith("none of 3 sampled configurations is feasible")
