"""The smaller verbs: ui, doctor, mirror's line, plan, validate, demo's reduced budget, evaluate and train on
bad input.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.app.fair_comparison import NO_SHALLOWER
from pld_search.app.find_study import reduced, study_of
from pld_search.app.machine_checks import damaged
from pld_search.cli.output import ui_line
from pld_search.cli.ui import command
from pld_search.data import content_cache
from pld_search.errors import ConfigError
from pld_search.report.single_schedule_figure import picture
from tests.cli.conftest import Call, experiment, schedule

STUDY = """
name: tiny
experiment:
  model: {layers: 2, hidden: 16, heads: 2, positions: alibi}
  data: {train: {text: [./corpus.txt]}, validation: 20 %, test: 20 %, document: paragraph, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 4}
  optimizer: {lr: 1e-3}
  schedule: {base: pld, temporal.end: {float: [0.3, 0.9]}}
budget: {steps: 10, equal: flops}
systems:
  full: {schedule: full}
  pld: {schedule: pld}
reference: full
seeds: 2
search: {objective: {minimize: valid/loss}, sampler: random, trials: 3, seeds: 1}
"""


@pytest.fixture(autouse=True)
def _text(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("a plan looks whether it is there, no more\n")


def test_ui_needs_a_store_and_serves_it(call: Call, study: Path) -> None:
    done = call("ui", "small")
    assert done.exit_code == 1
    assert "pld-search mirror STUDY" in done.stderr
    flags = command(study.parent, None, "127.0.0.1", 5001)
    assert flags[:4] == [sys.executable, "-m", "mlflow", "ui"]
    assert f"sqlite:///{study.parent.resolve() / 'mlflow.db'}" in flags
    assert flags[flags.index("--port") + 1] == "5001"
    assert "already runs" in call("ui", "--tracking-uri", "http://tracker:5000").stdout


def test_ui_starts_mlflow_on_the_store(call: Call, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study.parent / "mlflow.db").touch()
    started: list[list[str]] = []
    monkeypatch.setattr("pld_search.cli.ui.served", lambda words: started.append(words) or 0)
    monkeypatch.setattr("pld_search.cli.ui.experiment_of", lambda *_: "7")
    opened: list[tuple[str, bool]] = []
    monkeypatch.setattr("pld_search.cli.ui.when_ready", lambda _, shown, browser: opened.append((shown, browser)))
    done = call("ui", "small", "--port", 5002)
    assert done.exit_code == 0
    assert started == [command(study.parent.relative_to(Path.cwd()), None, "127.0.0.1", 5002)]
    shown = "http://127.0.0.1:5002/#/experiments/7/runs?viewStateShareKey=systems&workflowType=machine_learning"
    assert shown in done.stderr and opened == [(shown, False)]  # no terminal, no browser
    assert call("ui", "small", "--port", 5002, "--browser").exit_code == 0
    assert opened[1:] == [(shown, True)]
    monkeypatch.setattr("pld_search.cli.ui.experiment_of", lambda *_: None)
    assert "pld-search mirror" in call("ui", "small").stderr


def test_ui_with_optuna_starts_both_on_the_loopback(call: Call, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study.parent / "mlflow.db").touch()
    started: list[tuple[list[str], ...]] = []
    monkeypatch.setattr("pld_search.cli.ui.served", lambda *words: started.append(words) or 0)
    monkeypatch.setattr("pld_search.cli.ui.experiment_of", lambda *_: "7")
    monkeypatch.setattr("pld_search.cli.ui.find_spec", lambda _: None)
    assert "pip install 'optuna-dashboard" in call("ui", "small", "--optuna").stderr
    monkeypatch.setattr("pld_search.cli.ui.find_spec", lambda name: name)
    assert "one study" in call("ui", "--optuna").stderr
    assert started == []
    monkeypatch.setattr("pld_search.search.optuna.dashboard.write_dashboard", lambda folder: folder / "view.journal")
    done = call("ui", "small", "--optuna", "--optuna-port", "8081", "--host", "0.0.0.0")
    assert done.exit_code == 0 and "http://127.0.0.1:8081" in done.stderr
    ((_, beside),) = started
    assert beside[3:5] == [str(study.relative_to(Path.cwd()) / "view.journal"), "--storage-class"]
    assert beside[beside.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize("inherited", ["SIG_DFL", "SIG_IGN"])
def test_an_interrupt_ends_the_ui_without_a_traceback(inherited: str) -> None:
    """Also where the interrupt was ignored before, as in a process that was started in the background."""
    server = [sys.executable, "-c", "import sys, time; print('up', flush=True); time.sleep(3600)"]
    before = f"import signal; signal.signal(signal.SIGINT, signal.{inherited})"
    code = f"{before}; from pld_search.cli.ui import served; raise SystemExit(served({server!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_the_line_that_opens_the_ui() -> None:
    assert ui_line("demo", None, None) == "pld-search ui demo"
    assert (
        ui_line("demo", Path("elsewhere"), "sqlite:///x.db")
        == "pld-search ui demo --runs elsewhere --tracking-uri sqlite:///x.db"
    )


def test_the_picture_for_the_tracker(tmp_path: Path) -> None:
    picture(experiment(schedule("half", 0.5)).model_dump(mode="json"), tmp_path / "schedule.png")
    assert (tmp_path / "schedule.png").read_bytes().startswith(b"\x89PNG")


def test_doctor_finds_what_was_left_behind(call: Call, study: Path) -> None:
    done = call("doctor", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["leftovers"] == [{"study": "small", "trial": 2, "seed_index": 0, "pid": 2**22 + 1}]
    assert found["versions"]["torch"] != "missing"
    assert found["disk"]["runs"]["free_gib"] > 0
    assert "leftover     small trial 2 seed 0" in call("doctor").stdout


def test_doctor_finds_a_build_that_is_not_as_it_was_built(tmp_path: Path) -> None:
    def build(folder: Path) -> str:
        (folder / "data.bin").write_text("content")
        content_cache.write_manifest(folder, {}, ["data.bin"])
        return "sha256:" + "a" * 64

    folder = content_cache.obtain(tmp_path / "corpora", 1, build)
    assert list(damaged(tmp_path)) == []
    (folder / "data.bin").write_text("damaged")
    assert list(damaged(tmp_path)) == [{"folder": str(folder), "files": ["data.bin"]}]


def test_plan_resolves_systems_first_batch_and_commands(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    done = call("plan", "tiny.yaml", "--slots", 2, "--threads", 1, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["system"], row["runs"]) for row in found["systems"]] == [("full", 2), ("pld", 2)]
    full, pld = found["systems"]
    assert full["steps"] == 10
    assert pld["steps"] > 10
    assert pld["tflop"] <= full["tflop"]
    assert len(full["commands"]) == 2
    assert full["commands"][1].endswith("trials/0000/seed-1/experiment.yaml --out runs/tiny/trials/0000/seed-1")
    assert found["runs"] == 7
    assert found["search"]["combinations"] is None
    assert len(found["search"]["first_batch"]) == 2
    assert all(0.3 <= row["params"]["schedule.temporal.end"] <= 0.9 for row in found["search"]["first_batch"])
    (command,) = found["search"]["first_batch"][1]["commands"]
    assert command.endswith("trials/0003/seed-0/experiment.yaml --out runs/tiny/trials/0003/seed-0")
    assert found["seconds"] is None
    assert not (tmp_path / "runs").exists()
    text = call("plan", "tiny.yaml", "--slots", 2).stdout
    assert "time unknown" in text
    assert "7 runs in runs/tiny (new)" in text


def test_plan_shows_what_would_be_rejected_reused_and_run_on_several_ranks(call: Call, tmp_path: Path) -> None:
    study = STUDY.replace("systems:\n", "systems:\n  again: {schedule: pld}\n")
    (tmp_path / "tiny.yaml").write_text(study)
    sets = ["--set", "search.constraints=[forecast/expected_layers_mean <= 0.1]", "--set", "machine.gpus_per_run=2"]
    done = call("plan", "tiny.yaml", "--slots", 1, *sets, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    rows = {row["system"]: row for row in found["systems"]}
    assert (rows["again"]["runs"], rows["again"]["equal_to"]) == (2, None)
    assert (rows["pld"]["runs"], rows["pld"]["equal_to"]) == (0, "again")
    assert found["ranks"] == 2
    assert rows["full"]["commands"][0].endswith("--ranks 2")
    assert "rejected before training" in found["search"]["first_batch"][0]["problem"]
    text = call("plan", "tiny.yaml", "--slots", 1, *sets).stdout
    assert "equal to again: its results count" in text
    nodes = [*sets, "--set", "machine.launcher=ray", "--set", "machine.device=cpu", "--set", "machine.ray.nodes=2"]
    assert "seed-0 --ranks 1" in call("plan", "tiny.yaml", "--slots", 1, *nodes).stdout  # of each
    assert "1 at once of 2 ranks each on cpu" in text


def test_plan_shows_rungs_and_confirmation(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    sets = [
        "--set",
        "optimizer.shape=wsd",
        "--set",
        "search.early_stopping={kind: promotion, min: 25 %, eta: 2}",
        "--set",
        "search.trials=8",
    ]
    whole = json.loads(call("plan", "tiny.yaml", "--slots", 1, *sets[:2], "--set", "search.trials=8", "--json").stdout)
    done = call("plan", "tiny.yaml", "--slots", 1, *sets, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = found["search"]["first_batch"]
    assert [rung["share"] for rung in row["rungs"]] == [0.25, 0.5]
    parts = [word for rung in row["rungs"] for word in (f"--until {rung['step']}", f"--branch {rung['step']}")]
    assert [command.partition("seed-0 ")[2] for command in row["commands"]] == [*parts, ""]
    cost = found["search"]["cost"]
    segments = [rung["tflop"] for rung in row["rungs"]]
    branches = [rung["branch_tflop"] for rung in row["rungs"]]
    last = row["tflop"] - sum(segments)
    assert cost["tflop"] == pytest.approx(8 * (segments[0] + branches[0]) + 4 * (segments[1] + branches[1]) + 2 * last)
    assert cost["whole_tflop"] == pytest.approx(8 * row["tflop"])
    assert found["tflop"] == pytest.approx(whole["tflop"] - cost["whole_tflop"] + cost["tflop"])
    confirmed = json.loads(
        call("plan", "tiny.yaml", "--slots", 1, *sets, "--set", "confirm={top: 2, seeds: 3}", "--json").stdout
    )
    assert confirmed["runs"] == found["runs"] + 3 * (len(found["systems"]) + 2)
    assert "2 of 8 reach the end" in call("plan", "tiny.yaml", "--slots", 1, *sets).stdout


def test_what_is_not_there_is_a_note_of_plan_and_refused_by_prepare_and_run(call: Call, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").unlink()
    lacking = STUDY.replace("{train: wordpiece, vocabulary: 120}", "./pieces").replace(
        "budget:", "  evaluation: {tasks: [{mine: ./mine}]}\nbudget:", 1
    )
    (tmp_path / "tiny.yaml").write_text(lacking)
    place = {verb: call(verb, "tiny.yaml") for verb in ("plan", "prepare", "run")}
    assert [place[verb].exit_code for verb in place] == [0, 2, 2] and not place["prepare"].stdout
    text, tokenizer, task = place["prepare"].stderr.splitlines()
    assert {text, tokenizer, task} <= set(place["run"].stderr.splitlines())
    assert text.startswith("pld-search: tiny.yaml:5:25: experiment.data.train.text[0]: no file matches './corpus.txt'")
    assert (
        "tiny.yaml:5:" in tokenizer
        and "experiment.data.tokenizer: " in tokenizer
        and tokenizer.endswith("pieces: no such tokenizer")
    )
    assert (
        task.startswith("pld-search: tiny.yaml:9:24: experiment.evaluation.tasks[0]: ")
        and "a folder with tables and a task.yaml" in task
    )
    for line in (text, tokenizer, task):
        assert f"{line.removeprefix('pld-search: ')}: `run` refuses it here" in place["plan"].stdout


def test_plan_shows_how_a_stack_grows(call: Call, tmp_path: Path) -> None:
    growing = "{schedule: pld, growth: {stages: {0 %: 1, 50 %: 2}, weights: stack, moments: copy}}"
    (tmp_path / "tiny.yaml").write_text(
        STUDY.replace("{schedule: pld}", growing).split("search:")[0].replace("{float: [0.3, 0.9]}", "0.5")
    )
    done = call("plan", "tiny.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    full, pld = json.loads(done.stdout)["systems"]
    assert full["growth"] is None
    assert (pld["layers"], pld["growth"]["stages"]) == (2, [["0 %", 1], ["50 %", 2]])
    assert pld["steps"] > full["steps"]
    (row,) = [line for line in call("plan", "tiny.yaml").stdout.splitlines() if line.startswith("pld")]
    assert " 1>2 " in row


def test_validate_samples_the_space(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    done = call("validate", "tiny.yaml", "--points", 20, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("notes") == [NO_SHALLOWER]
    rest = {"study": "tiny", "tried": 22, "left_out": False, "decides_nothing": False, "unbuildable": []}
    assert found == rest


def test_a_reason_silences_the_note_on_depth(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY + "waive: {depth: a test of two layers}\n")
    done = call("validate", "tiny.yaml", "--points", 2)
    assert done.exit_code == 0, done.stderr
    assert "note:" not in done.stdout
    assert "waived: a shallower full-depth row: a test of two layers" in call("plan", "tiny.yaml").stdout


def test_seeds_of_one_system_are_refused_in_a_new_study(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY.replace("{schedule: full}", "{schedule: full, seeds: 2}"))
    for verb in ("validate", "plan", "run"):
        done = call(verb, "tiny.yaml")
        assert done.exit_code == 2
        assert "tiny.yaml:11:9: systems.full.seeds: every system has the study's seeds" in done.stderr
    assert not (tmp_path / "runs").exists()


SLOTS = r"unknown key; allowed: .*; did you mean slots\?"
TASK = "optimizer: {lr: 1e-3}\n  evaluation: {tasks: [{mine: ./mine}]}"


@pytest.mark.parametrize(
    ("old", "new", "words", "line"),
    [
        ("", "", ["--machine", "m.yaml"], f"m.yaml:2:1: slotz: {SLOTS}"),
        ("", "", ["--set", "machine.slot=1"], f"--set:1:9: slot: {SLOTS}"),
        ("./corpus.txt", "./no/*.txt", [], r"tiny.yaml:5:25: .*train.text\[0\]: no file matches './no/\*.txt'.*"),
        ("optimizer: {lr: 1e-3}", TASK, [], r"tiny.yaml:8:24: .*tasks\[0\]: .*a folder with tables.*"),
    ],
)
def test_validate_refuses_what_run_would(
    call: Call, tmp_path: Path, old: str, new: str, words: list[str], line: str
) -> None:
    """Each in one line; with `--elsewhere` the files of another machine are not looked for."""
    assert old in STUDY
    (tmp_path / "tiny.yaml").write_text(STUDY.replace(old, new) if old else STUDY)
    (tmp_path / "m.yaml").write_text("slots: 2\nslotz: 3\n")
    done = call("validate", "tiny.yaml", "--points", 2, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.fullmatch(f"pld-search: {line}\n", done.stderr), done.stderr
    assert call("validate", "tiny.yaml", "--points", 2, "--elsewhere", *words).exit_code == (2 if words else 0)


def test_validate_lists_combinations_that_cannot_be_built(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        STUDY.replace("heads: 2,", "heads: {choice: [2, 3]},")
        .replace("schedule: full}", "schedule: full, model.heads: 2}")
        .replace("{schedule: pld}", "{schedule: pld, model.heads: 2}")
    )
    done = call("validate", "tiny.yaml", "--points", 20)
    assert done.exit_code == 2
    assert "multiple of heads" in done.stdout + done.stderr


def test_validate_reports_a_broken_file_at_its_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY.replace("lr: 1e-3", "learning_rate: 1e-3"))
    done = call("validate", "tiny.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "tiny.yaml:7:" in done.stderr
    assert "lr" in done.stderr
    assert call("run", "missing.yaml").exit_code == 2
    assert call("plan", "no-such-study").exit_code == 2


def test_the_budget_can_be_reduced_by_the_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reduced(None) == []
    assert reduced("20") == [
        "budget.steps=20",
        "evaluation.epochs=1",
        "validation.sequences=128",
        "validation.final=256",
    ]
    with pytest.raises(ConfigError, match="PLD_SEARCH_STEPS"):
        reduced("many")
    monkeypatch.setenv("PLD_SEARCH_STEPS", "7")
    assert study_of("demo", None).budget.steps == 7
    assert study_of("demo", ["budget.steps=9"]).budget.steps == 9
    words = ("--set", "machine.slots=2", "--set", "model.layers=0")
    assert call("validate", "demo", *words).stderr.startswith("pld-search: --set:2:14: experiment.model.layers: ")
    for wrong in ("0", "many", "-3", "1.5"):
        monkeypatch.setenv("PLD_SEARCH_STEPS", wrong)
        refused = "PLD_SEARCH_STEPS is a number of steps; allowed: a whole number, 1 or more; given"
        for verb in ("demo", "validate", "plan", "run"):
            done = call(verb, *([] if verb == "demo" else ["demo"]))
            assert (done.exit_code, done.stderr) == (2, f"pld-search: {refused}: {wrong}\n")


def test_a_branch_is_not_paused(call: Call, tmp_path: Path) -> None:
    assert (
        "a branch runs to its own end; allowed: --until or --branch; given: both"
        in call("train", "x.yaml", "--out", "x", "--until", "5", "--branch", "3").stderr
    )


def test_train_and_evaluate_say_what_is_missing(call: Call, tmp_path: Path) -> None:
    assert "no experiment file there" in call("train", "nope.yaml", "--out", "x").stderr
    (tmp_path / "checkpoint").mkdir()
    done = call("evaluate", "checkpoint")
    assert done.exit_code == 2
    assert "--experiment" in done.stderr
    assert "no checkpoint folder" in call("evaluate", "elsewhere").stderr
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.yaml").touch()
    assert "this run has no whole checkpoint" in call("evaluate", "run").stderr  # of a run the newest is taken


def test_plan_shows_how_sequences_get_longer(call: Call, tmp_path: Path) -> None:
    longer = "{schedule: pld, data.length: {0 %: 16, 50 %: 32}}"
    (tmp_path / "tiny.yaml").write_text(
        STUDY.replace("{schedule: pld}", longer).split("search:")[0].replace("{float: [0.3, 0.9]}", "0.5")
    )
    done = call("plan", "tiny.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    full, pld = json.loads(done.stdout)["systems"]
    assert (type(full["length"]), pld["length"]) == (int, [["0 %", 16], ["50 %", 32]])
    lines = call("plan", "tiny.yaml").stdout.splitlines()
    (number,) = (number for number, line in enumerate(lines) if line.startswith("pld"))
    assert lines[number + 1] == "    length 16>32"
    assert sum("length" in line for line in lines) == 1
