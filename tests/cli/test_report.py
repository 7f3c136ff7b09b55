from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pld_search.app.study_folders import study_folder
from pld_search.app.winner_files import changes_of, schedule_of
from pld_search.records.definition import StudyDefinition
from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from tests.cli.conftest import Call


def test_json_is_a_list_of_rows_and_people_read_stderr(call: Call, study: Path) -> None:
    done = call("report", "small", "--json")
    assert done.exit_code == 0
    table = json.loads(done.stdout)
    assert [{key: row[key] for key in ("trial", "system", "seed", "state", "steps")} for row in table] == [
        {"trial": 0, "system": "full", "seed": 0, "state": "finished", "steps": 20},
        {"trial": 1, "system": "half", "seed": 0, "state": "finished", "steps": 20},
        {"trial": 2, "system": None, "seed": 0, "state": "running", "steps": 20},
    ]
    assert all(row["digest"].startswith("sha256:") for row in table)
    assert table[1]["valid/loss"] == 4.1
    assert "report.html" in done.stderr


def test_people_get_the_comparison_and_the_files(call: Call, study: Path) -> None:
    done = call("report", study)
    assert done.exit_code == 0
    assert "half" in done.stdout
    assert all((study / name).is_file() for name in ("report.html", "report.csv", "report.json"))


def test_a_study_is_a_name_or_a_folder(study: Path) -> None:
    assert {study_folder(word, Path("runs")).resolve() for word in ("small", str(study), "runs/small")} == {
        study.resolve()
    }
    assert study_folder("small", study.parent) == study


def test_an_unknown_study_names_those_there_are(call: Call, study: Path) -> None:
    done = call("report", "smal")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean small?" in done.stderr
    assert "there is no study in" in call("report", "x", "--runs", "elsewhere").stderr


def test_best_prints_a_schedule_that_can_be_used_again(call: Call, study: Path, tmp_path: Path) -> None:
    done = call("best", "small", "--as", "schedule", "--out", "won.yaml")
    assert done.exit_code == 0
    assert call("best", "small", "--as", "experiment").exit_code == 0
    assert "Best valid/loss: half" in done.stdout
    assert "value: 0.5" in done.stdout
    shown = json.loads(call("schedule", "show", "./won.yaml", "--json").stdout)
    assert shown["expected_layers_end"] == 6.0
    assert (tmp_path / "small-best-experiment.yaml").is_file()
    assert call("best", "small", "--out", "won.yaml").exit_code == 2
    assert call("best", "small", "--as", "model").exit_code == 2
    found = json.loads(call("best", "small", "--json").stdout)
    assert (found["system"], found["value"], found["objective"]) == ("half", 4.1, "valid/loss")
    assert found["run"].endswith("runs/small/trials/0001/seed-0")


def test_the_best_schedule_keeps_its_saving_and_has_no_empty_key(study: Path) -> None:
    tree = {"schedule": {"choice": {"one": {"base": "pld", "temporal": {"end": {"saving": "like pld"}}, "about": ""}}}}
    row = next(row for row in comparison(view(study)) if row.system == "half")
    row = replace(row, params={"schedule": "one"})
    found = schedule_of(StudyDefinition({"systems": [{"name": "half", "tree": tree}]}), row)
    assert found == {"base": "pld", "temporal": {"end": {"saving": "like pld"}}}
    assert not {None, ""} & {
        value for value in schedule_of(StudyDefinition({}), row).values() if not isinstance(value, dict)
    }


def test_what_the_winner_changes_beside_its_schedule_is_told(study: Path) -> None:
    full, half = (row for row in comparison(view(study)) if row.system in ("full", "half"))
    assert full.experiment is not None
    model = full.experiment.model.model_copy(update={"layers": 3})
    shallow = replace(half, experiment=full.experiment.model_copy(update={"model": model}))
    assert changes_of(shallow, [full, shallow]) == {"model.layers": 3}


def test_best_overwrites_nothing(call: Call, study: Path, tmp_path: Path) -> None:
    words = ("best", "small", "--as", "schedule")
    assert call(*words).exit_code == 0
    assert call(*words).exit_code == 0  # the same again
    mine = tmp_path / "small-best-schedule.yaml"
    mine.write_text(mine.read_text() + "# noted by hand\n")
    before = mine.read_text()
    done = call(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"pld-search: --out is already there and holds something else; nothing is overwritten; given: {mine.name}\n"
    )
    assert mine.read_text() == before


def test_best_of_nothing_exits_3(call: Call, study: Path) -> None:
    for events in study.rglob("events.jsonl"):
        events.unlink()
    done = call("best", "small")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "no row has finished runs" in done.stderr
