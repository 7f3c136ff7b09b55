"""Record files: what a kill, a full disk or an editor leaves behind."""

import errno
import gc
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.errors import StudyError
from pld_search.records import jsonl


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert jsonl.read(tmp_path / "none.jsonl") == []


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "events.jsonl"
    with jsonl.Writer(path) as writer:
        writer.write({"a": 1}, durable=True)
        writer.write({"b": "line\nbreak \u2028 é"})
        writer.sync()
    assert jsonl.read(path) == [{"a": 1}, {"b": "line\nbreak \u2028 é"}]


@given(st.integers(0, 40))
def test_cut_anywhere_the_whole_lines_are_read_and_the_next_writer_repairs(cut: int) -> None:
    path = Path(os.environ["PYTEST_TMP"]) / "events.jsonl"
    whole = b'{"n":1}\n{"n":2}\n{"n":3}\n'
    path.write_bytes(whole[:cut])
    before = jsonl.read(path)
    assert [record["n"] for record in before] == list(range(1, min(cut, 24) // 8 + 1))
    with jsonl.Writer(path) as writer:
        writer.write({"n": 9})
    assert jsonl.read(path) == [*before, {"n": 9}]


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused_and_leave_nothing(tmp_path: Path, number: float) -> None:
    path = tmp_path / "events.jsonl"
    with jsonl.Writer(path) as writer, pytest.raises(ValueError, match="JSON"):
        writer.write({"loss": number})
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "line", ["not json", "[1]", '"text"', "\x00\x00", '{"n":1},{"n":2}', '{"n":1}{"n":2}', '{"n":}']
)
def test_a_damaged_line_is_named_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"n":1}}\n{line}\n{{"n":2}}\n')
    with pytest.raises(StudyError, match=r"events\.jsonl:2: not a record"):
        jsonl.read(path)


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    write = os.write
    with jsonl.Writer(path) as writer:
        writer.write({"n": 1})
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
        with pytest.raises(OSError, match="short write") as caught:
            writer.write({"n": 2})
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.setattr(os, "write", write)
        writer.write({"n": 3})
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [1, 3]


def test_the_search_for_garbage_goes_on_after_a_pause_and_stays_off_where_it_was_off() -> None:
    try:
        with jsonl.uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        gc.disable()
        with pytest.raises(ValueError, match="within"), jsonl.uncollected():
            raise ValueError("within")
        assert not gc.isenabled()
    finally:
        gc.enable()
