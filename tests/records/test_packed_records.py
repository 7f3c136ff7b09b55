"""Records go into the repository and come out again byte for byte; a run without a result stays out."""

import json
from pathlib import Path

from pld_search.records.packed_records import ended, pack, read, run_folder, unpack

MACHINE = {"instruction_set": "AVX2"}


def launched(trial: int, index: int) -> dict[str, object]:
    return {"event": "launched", "trial": trial, "seed_index": index}


def exited(trial: int, index: int, outcome: str) -> dict[str, object]:
    return {"event": "exited", "trial": trial, "seed_index": index, "outcome": outcome}


def write(path: Path, events: list[dict[str, object]], torn: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + torn)
    return path


def study(folder: Path) -> Path:
    """A study of three runs: one has ended, one diverged, one is under way."""
    write(
        folder / "study.jsonl",
        [launched(0, 0), exited(0, 0, "finished"), launched(1, 0), exited(1, 0, "diverged"), launched(2, 0)],
        torn='{"event": "exi',
    )
    for trial in range(3):
        write(folder / f"trials/{trial:04d}/seed-0/events.jsonl", [{"event": "started", "trial": trial}])
    return folder


def test_only_runs_with_a_result_are_packed(tmp_path: Path) -> None:
    packed = pack(study(tmp_path / "study"), tmp_path / "records", MACHINE)
    assert (packed.added, packed.total) == (2, 2)
    assert not (tmp_path / "records/trials/0002").exists()


def test_a_run_that_was_launched_again_has_no_result_yet() -> None:
    assert list(ended([launched(0, 0), exited(0, 0, "crashed"), launched(0, 0)])) == []
    assert list(ended([launched(0, 0), exited(0, 0, "stopped"), launched(0, 0), exited(0, 0, "finished")])) == [(0, 0)]


def test_unpacked_records_are_those_that_were_packed(tmp_path: Path) -> None:
    source = study(tmp_path / "study")
    pack(source, tmp_path / "records", MACHINE)
    assert unpack(tmp_path / "records", tmp_path / "again") == 2
    for trial in range(2):
        name = f"trials/{trial:04d}/seed-0/events.jsonl"
        assert (tmp_path / "again" / name).read_bytes() == (source / name).read_bytes()
    whole = (source / "study.jsonl").read_bytes().rpartition(b"\n")[0] + b"\n"
    assert (tmp_path / "again/study.jsonl").read_bytes() == whole  # without the line its writer was in the middle of


def test_packing_again_adds_what_is_new_and_changes_nothing_else(tmp_path: Path) -> None:
    source, records = study(tmp_path / "study"), tmp_path / "records"
    pack(source, records, MACHINE)
    before = {path: path.read_bytes() for path in records.rglob("events.jsonl.xz")}
    assert pack(source, records, MACHINE).added == 0
    with (source / "study.jsonl").open("r+") as file:
        file.seek(len((source / "study.jsonl").read_text().rpartition("\n")[0]) + 1)
        file.truncate()
        file.write(json.dumps(exited(2, 0, "finished")) + "\n")
    assert pack(source, records, MACHINE).added == 1
    assert before == {path: path.read_bytes() for path in before}
    assert read(records / "study.jsonl.xz")[-1] == exited(2, 0, "finished")
    assert json.loads((run_folder(records, 2, 0) / "machine.json").read_text()) == MACHINE


def test_a_study_that_is_there_is_newer_than_its_packed_records(tmp_path: Path) -> None:
    source = study(tmp_path / "study")
    pack(source, tmp_path / "records", MACHINE)
    before = (source / "study.jsonl").read_bytes()
    assert unpack(tmp_path / "records", source) == 0
    assert (source / "study.jsonl").read_bytes() == before


def test_nothing_is_packed_of_a_study_that_has_not_begun(tmp_path: Path) -> None:
    assert pack(tmp_path / "none", tmp_path / "records", MACHINE).total == 0
    assert not (tmp_path / "records").exists()
