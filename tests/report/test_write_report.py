from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.run_rows import rows
from pld_search.report.write_report import write_pictures, write_report
from tests.report.studies import Folder


def test_three_files_whole_and_nothing_left_over(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo, folder)
    before = {path.name for path in folder.iterdir()}
    assert write_report(folder) == folder / "report.html"
    assert {path.name for path in folder.iterdir()} - before == {"report.html", "report.csv", "report.json"}


def test_csv_and_json_hold_the_rows(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo, folder)
    write_report(folder)
    expected = rows(view(folder))
    with (folder / "report.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["trial"] for row in read] == [str(row["trial"]) for row in expected]
    assert float(read[2]["valid/loss"]) == expected[2]["valid/loss"]
    assert (
        read[8]["valid/loss"] == expected[8].get("valid/loss", "")
        or float(read[8]["valid/loss"]) == expected[8]["valid/loss"]
    )
    data = json.loads((folder / "report.json").read_text())
    assert set(data) == {"study", "comparison", "costs", "fine_tuning", "rungs", "search", "runs"}
    assert data["runs"] == expected
    assert data["study"]["entropy"] == 6.0
    pld = next(row for row in data["comparison"] if row["label"] == "pld")
    assert pld["differences"]["valid/loss"]["verdict"] == "undecided"
    assert read[2]["verdict"] == "undecided"
    assert data["study"]["headline"][0] == "No row is shown to be better than full on valid/loss."
    assert data["study"]["winner"] == {"trial": 7, "basis": "recommended"}
    assert data["study"]["decide"]["primary"] == "valid/loss"
    assert pld["cost"]["equal"] is True


def test_the_same_records_give_the_same_files(demo: Path, tmp_path: Path) -> None:
    folder, texts = tmp_path / "copy", []
    shutil.copytree(demo, folder)
    for _ in range(2):
        write_report(folder)
        texts.append([(folder / file).read_text() for file in ("report.html", "report.csv", "report.json")])
    assert texts[0] == texts[1]


def test_pictures_are_pdfs_of_the_pages(demo: Path, tmp_path: Path) -> None:
    study = Folder(tmp_path / "new", systems=["full"], reference="full")
    study.study.close()
    assert write_pictures(tmp_path / "new") is None
    folder = tmp_path / "copy"
    shutil.copytree(demo, folder)
    assert write_pictures(folder) == folder / "report.pdf"
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert {"differences0", "cost0", "curves", "curves-end", "searched", "schedule0"} <= names
