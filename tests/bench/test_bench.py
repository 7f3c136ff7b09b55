"""The verb for real, as small as it gets: three processes in turns, and the same losses as transformers' Trainer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pld_search.bench.suite import FULL, TRAINER, Result
from pld_search.bench.terminal_tables import show
from pld_search.cli.main import app


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "machine.yaml").write_text(f"cache: {folder}/cache\nthreads: 1\ndevice: cpu\n")
    sizes = [
        "--length",
        "16",
        "--sequences",
        "4",
        "--micro-batch",
        "2",
        "--rounds",
        "2",
        "--burst",
        "1",
        "--loss-steps",
        "3",
        "--json",
    ]
    sizes += ["--activation-checkpointing", "2"]
    done = CliRunner().invoke(
        app, ["bench", *sizes, "--machine", str(folder / "machine.yaml"), "--out", str(folder / "out.json")]
    )
    assert done.exit_code == 0, done.output
    written = Result.model_validate_json((folder / "out.json").read_text())
    assert Result.model_validate(json.loads(done.stdout)) == written
    return written


def test_every_candidate_has_its_row(result: Result) -> None:
    assert [row.name for row in result.rows] == [
        FULL,
        "pld-search, pld",
        f"{FULL}, recomputed 1 in 2",
        "pld-search, pld, recomputed 1 in 2",
        TRAINER,
    ]
    full, pld, again, _, trainer = result.rows
    assert again.ratio is not None and again.flops_ratio == pytest.approx(1.0)
    assert {row.micro_batch for row in result.rows} == {2}
    assert full.forecast_bytes is not None and trainer.forecast_bytes is None
    assert (full.ratio, full.flops_ratio) == (None, None)
    assert trainer.ratio is not None and trainer.flops_ratio == pytest.approx(1.0)
    assert pld.ratio is not None and pld.flops_ratio is not None and pld.flops_ratio < 1
    assert all(row.step_ms.median > 0 and row.peak_bytes > 0 for row in result.rows)
    assert full.outside is not None and 0 <= full.outside < 1


def test_the_tables_fit_eighty_columns(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    show(result.request, result)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for words in (
        "pld-search, full depth",
        "transformers Trainer",
        "excess",
        "forecast",
        f"{result.rows[1].flops_ratio:.3f}",
    ):
        assert words in text


def test_the_losses_are_those_of_the_trainer_with_accumulation(result: Result) -> None:
    assert result.loss_difference is not None
    assert result.loss_difference < 1e-4


@pytest.mark.parametrize(
    ("option", "given"), [("--micro-batch", "most"), ("--micro-batch", "0"), ("--activation-checkpointing", "1")]
)
def test_what_is_neither_word_nor_number_is_refused(
    option: str, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["bench", "--no-trainer", "--device", "cpu", option, given])
    assert done.exit_code == 2
    assert f"{option}: neither the word nor a number" in done.stderr
    assert f"given: {given}" in done.stderr


def test_a_schedule_that_cannot_be_drawn_for_so_few_sequences_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "machine.yaml").write_text(f"cache: {tmp_path}/cache\n")
    done = CliRunner().invoke(
        app, ["bench", "--no-trainer", "--device", "cpu", "--length", "512", "--schedule", "decreasing-drop"]
    )
    assert done.exit_code == 2
    assert (
        "--schedule.decreasing-drop.draw.strata: a group of 4 sequences is not a multiple of 8; allowed: "
        "another --schedule or --seq" in done.stderr
    )
    assert "given: 4 x 512 tokens a step, 6 layers" in done.stderr


def test_the_trainer_is_not_left_out_silently(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["bench", "--rounds", "1"])
    assert done.exit_code == 2
    assert "accelerate" in done.output + done.stderr


def test_a_process_that_dies_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "machine.yaml").write_text(f"cache: {tmp_path}/cache\n")
    monkeypatch.setattr("pld_search.bench.candidates._WORKER", "pld_search.bench.no_such_module")
    done = CliRunner().invoke(app, ["bench", "--length", "16", "--sequences", "2", "--no-trainer", "--device", "cpu"])
    assert done.exit_code == 1
    assert "ended with code 1" in done.stderr
    assert "Traceback" not in done.stderr
