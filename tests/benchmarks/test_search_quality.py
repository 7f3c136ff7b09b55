"""The report of the simulated searches, from a made-up table to its files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality_search import Found
from benchmarks.search_quality import main, number, row_of

COUNT, SEEDS = 9, 4


def write_table(path: Path) -> None:
    space = {"experiment": {"x": {"choice": list(range(COUNT))}}}
    lines: list[dict[str, Any]] = [{"about": {"space": space, "corpus": {"unigram_entropy": 5.0}}}]
    for x in range(COUNT):
        loss = 3 + x / 10
        rungs = [
            {
                "share": share,
                "step": int(100 * share),
                "trunk_loss": loss,
                "trunk_tflop": share,
                "branch_loss": loss,
                "branch_tflop": share / 5,
            }
            for share in (0.05, 0.1, 0.2, 0.3, 0.4)
        ]
        lines.append(
            {
                "params": {"x": x},
                "digest": f"digest {x}",
                "seed": 0,
                "state": "finished",
                "steps": 100,
                "loss": loss,
                "tflop": 1.0,
                "rungs": rungs,
            }
        )
    lines.append({**lines[1], "seed": 1, "loss": 3.02})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_report_holds_every_method_and_what_it_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.jsonl"
    write_table(table)
    main([str(table), "--seeds", str(SEEDS), "--out", str(tmp_path / "found")])
    report, text = json.loads((tmp_path / "found.json").read_text()), (tmp_path / "found.md").read_text()
    assert text == capsys.readouterr().out
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    about = report["about"]
    assert (about["configurations"], about["meeting"], about["best"], about["median"]) == (COUNT, 1, 3.0, 3.4)
    assert about["seed_sd"] == pytest.approx(0.02 / math.sqrt(2), abs=1e-5)
    methods = {row["method"]: row for row in report["methods"]}
    assert len(methods) == 6
    for row in methods.values():
        assert len(row["costs"]) == SEEDS
        assert f"| {row['method']} " in text
        assert row["reached"] == sum(cost is not None for cost in row["costs"])
    assert methods["random"]["ratio"] == 1
    assert methods["random"]["branch_share"] == 0 < methods["TPE + promotion"]["branch_share"]
    assert [(each["goal"], each["of"]) for each in report["paired"]] == [(0.05, SEEDS), (0.2, SEEDS)]
    (default,) = (row for row in report["settings"] if row["method"] == "min 30 %, eta 2")
    assert default["reached"] >= 1
    assert [row["branch"] for row in report["correlations"]] == [1] * 5


def test_what_was_never_reached_is_told_so() -> None:
    found = [
        Found(better=[(1.0, 0.5)], asked=3, finished=1, cost=1.0),
        Found(better=[(2.0, 0.01)], asked=3, finished=2, cost=2.0),
    ]
    row = row_of("one", found, found, 0.05)
    assert (row["costs"], row["reached"], row["value"]) == ([math.inf, 2.0], 1, 2.0)
    assert number(row["upper_quartile"]) == "never"
