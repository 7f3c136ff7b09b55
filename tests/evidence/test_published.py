"""What is published: the page follows from the records, and the records are what the designs say."""

import json

import pytest

from evidence.places import BASE, DESIGNS, RECORDS, name_of, studies
from pld_search.app.verify_results import verify
from pld_search.records.packed_records import EVENTS, MACHINE, read
from pld_search.spaces.load_study import load_study
from pld_search.spaces.study import Study

PACKED = sorted(path.parent for path in RECORDS.glob(f"*/trials/*/seed-*/{EVENTS}.xz"))


def test_the_page_follows_from_the_records() -> None:
    assert [check.seen for check in verify(DESIGNS) if not check.holds] == []


def test_records_take_less_than_20_mb() -> None:
    assert 0 < sum(path.stat().st_size for path in RECORDS.rglob("*") if path.is_file()) < 20e6


@pytest.mark.parametrize("study", [path for path in studies() if (RECORDS / name_of(path)).exists()], ids=name_of)
def test_a_study_was_run_as_it_is_designed(study: object) -> None:
    found = load_study(study)  # type: ignore[arg-type]
    definition = [
        event["definition"] for event in read(RECORDS / found.name / "study.jsonl.xz") if "definition" in event
    ]
    assert definition
    begun, ours = Study.from_definition(definition[-1]), found.without_final  # its code had no `validation.final` yet
    for key in ("name", "budget", "reference", "systems"):
        assert getattr(begun, key) == getattr(ours, key)
    assert begun.seeds <= ours.seeds


@pytest.mark.parametrize("run", PACKED, ids=lambda path: "/".join(path.parts[-4:]))
def test_a_packed_run_is_of_the_recorded_commit_and_ended(run: object) -> None:
    events = read(run / f"{EVENTS}.xz")  # type: ignore[operator]
    assert {event["provenance"]["commit"] for event in events if event["event"] == "started"} == {BASE}
    assert events[-1]["event"] in ("finished", "diverged")
    assert set(json.loads((run / MACHINE).read_text())) == {"torch", "instruction_set"}  # type: ignore[operator]
