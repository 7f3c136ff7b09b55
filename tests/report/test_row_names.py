from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.row_names import configuration, otherwise, sampled_text
from tests.report.studies import FULL, Folder, experiment, schedule


def test_a_sampled_row_is_told_by_its_values() -> None:
    params = {"schedule": "falling", "schedule.falling.temporal.end": 0.44812, "optimizer.lr": 0.0021}
    assert sampled_text("pld (changed)", params) == "falling, end=0.448, lr=0.0021"
    assert sampled_text("pld (changed)", {"schedule.temporal.end": 0.44812}) == "pld, end=0.448"
    assert sampled_text("pld", {"optimizer.lr": 0.003}) == "pld, lr=0.003"
    assert sampled_text("pld", {"a.end": 1, "b.end": 2}) == "pld, a.end=1, b.end=2"
    assert sampled_text("pld", {"schedule.temporal.rate": "10 / run"}) == "pld, rate=10 / run"


def test_a_change_of_a_schedule_says_what_it_changes(tmp_path: Path) -> None:
    study = Folder(tmp_path / "s", systems=["full", "late", "shallow"], reference="full")
    for name, what in {
        "full": experiment(FULL),
        "late": experiment(schedule("pld (changed)", 0.7)),
        "shallow": experiment(FULL, layers=4),
    }.items():
        study.ask(what, name)
    full, late, shallow = comparison(view(tmp_path / "s"))
    assert configuration(full) == "full"
    assert configuration(late) == "pld, end=0.7"
    assert list(otherwise(late, full)) == ["schedule pld, end=0.7 instead of full"]
    assert list(otherwise(shallow, full)) == ["4 layers instead of 6"]
