"""The table of real runs, at the smallest size: what a line holds, that it is the project's own run, and that a restart
goes on.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality_search import load_table
from benchmarks.quality_table import SHARES, main
from pld_search.errors import ConfigError
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import train_run as training
from tests.cli.test_run import write_study

SPACE = """
name: tiny
experiment:
  model: {layers: 2, hidden: 16, heads: 2, positions: alibi, dropout: 0, attention_dropout: 0}
  data: {train: {text: [./corpus.txt]}, validation: 20 %, test: 20 %, document: paragraph, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 4}
  optimizer: {lr: {choice: [1e-3, 2e-2]}, shape: wsd}
  precision: fp32
  schedule: {base: pld}
budget: {steps: 20}
search: {trials: 2}
"""


def test_the_table_goes_on_and_holds_what_an_undisturbed_run_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    runs: list[tuple[Experiment, Execution]] = []
    whole = training.train

    def noted(experiment: Experiment, execution: Execution, out: Path, **named: object) -> object:
        runs.append((experiment, execution))
        return whole(experiment, execution, out, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("benchmarks.quality_table.train", noted)
    out = tmp_path / "table.jsonl"
    begin = ["--out", str(out), "--space", str(tmp_path / "space.yaml"), "--set", f"machine.cache={tmp_path}/cache"]
    main([*begin, "--most", "1"])
    before = out.read_text()
    main([*begin, "--seeds", "1"])
    assert out.read_text().startswith(before)
    rows = [json.loads(line) for line in out.read_text().splitlines()][1:]
    # and the better one again
    assert [(row["params"]["optimizer.lr"], row["seed"]) for row in rows] == [(1e-3, 0), (2e-2, 0), (2e-2, 1)]
    assert len({row["digest"] for row in rows}) == 2
    assert len(runs) == 3 * (len(SHARES) + 1)
    straight = whole(*runs[0], tmp_path / "straight")
    assert rows[0]["loss"] == straight.final["valid/loss"]
    assert rows[0]["tflop"] == straight.final["progress/tflop"]
    _rungs_rise(rows[0])
    assert len(load_table(out)) == 2
    done = out.read_text()
    main([*begin, "--seeds", "1"])
    assert out.read_text() == done
    with pytest.raises(ConfigError, match="another space"):
        main([*begin, "--set", "budget.steps=30"])


def _rungs_rise(row: dict[str, list[dict[str, float]]]) -> None:
    rungs = row["rungs"]
    assert [rung["share"] for rung in rungs] == [float(share) for share in SHARES]
    spent = [rung["trunk_tflop"] for rung in rungs]
    assert spent == sorted(set(spent))
    assert all(0 < rung["branch_tflop"] < rung["trunk_tflop"] * 1.01 for rung in rungs)
    assert all(rung["branch_loss"] != rung["trunk_loss"] for rung in rungs)
