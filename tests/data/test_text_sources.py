from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from pld_search.data.text_sources import TextFiles, Unit, find, resolve
from pld_search.errors import DataError

TEXT = "First line.\nSecond line.\n\n\nA new paragraph.\n"


def read(path: Path, unit: Unit = "file", field: str | None = None) -> list[str]:
    return ["".join(pieces) for pieces in TextFiles((path,), field).documents(unit)]


def written(path: Path, text: str) -> Path:
    opened = {".gz": gzip.open, ".zst": zstandard.open, ".bz2": bz2.open, ".xz": lzma.open}.get(
        path.suffix.lower(), open
    )
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "txt.zst", "txt.bz2", "txt.xz", "TXT.GZ", "txt.Zst"])
def test_plain_and_packed_files_hold_the_same_documents(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a.{suffix}", TEXT)
    assert read(path) == [TEXT]
    assert read(path, "paragraph") == ["First line.\nSecond line.\n", "A new paragraph.\n"]
    assert read(path, "line") == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst", "JSONL.xz"])
def test_a_record_is_a_document_whatever_the_unit(tmp_path: Path, suffix: str) -> None:
    records = [{"abstract": "one\n\ntwo", "other": 1}, {"abstract": "three"}]
    path = written(tmp_path / f"a.{suffix}", "\n".join(json.dumps(record) for record in records) + "\n\n")
    for unit in ("file", "line", "paragraph"):
        assert read(path, unit, "abstract") == ["one\n\ntwo", "three"]  # type: ignore[arg-type]


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfText")
    assert read(path) == ["Text"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"caf\xe9", "a.txt: cannot be read"),
        ("a.txt.gz", b"not packed", "a.txt.gz: cannot be read"),
        ("a.txt.gz", gzip.compress(b"x" * 9999, mtime=0)[:-12], "a.txt.gz: cannot be read"),
        ("a.txt.zst", b"not packed", "a.txt.zst: cannot be read"),
        ("a.jsonl", b'{"text": "a"}\n{"text"', "a.jsonl:2: not a JSON object with a field 'text'"),
        ("a.jsonl", b'{"body": "a"}', "a.jsonl:1: not a JSON object with a field 'text'"),
        ("a.jsonl", b'{"text": 3}', "a.jsonl:1: the field 'text' is int, not text"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, field="text" if "jsonl" in name else None)


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_packed_file_that_was_cut_short_is_refused(tmp_path: Path, suffix: str, kind: str) -> None:
    lines = "".join(json.dumps({"text": f"{number * number} {number % 7}"}) + "\n" for number in range(20_000))
    path = written(tmp_path / f"a.{kind}.{suffix}", lines)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"a.{kind}.{suffix}: cannot be read"):
        read(path, "line", "text" if kind == "jsonl" else None)


def test_every_frame_of_a_zst_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.zst"
    empty = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"  # a frame to be skipped, as parallel packers write
    path.write_bytes(zstandard.compress(b"one\n" * 9000) + empty + zstandard.compress(b"two\n"))
    assert read(path) == ["one\n" * 9000 + "two\n"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.jsonl.LZ4", "a.parquet"])
def test_what_is_packed_in_another_way_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=r"are not read; unpack it, or pack its text as one of .gz, .bz2, .xz, .zst"):
        read(tmp_path / name)


def test_a_field_is_for_jsonl_and_jsonl_needs_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs `field`"):
        TextFiles((tmp_path / "a.jsonl.zst",))
    with pytest.raises(DataError, match="no file is a jsonl file"):
        TextFiles((tmp_path / "a.txt",), "text")


def test_globs_give_every_file_once_in_a_settled_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/er/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert find(["b.txt", "*.txt"], tmp_path, {}) == (tmp_path / "b.txt", tmp_path / "a.txt")
    assert find(["**/*.txt"], tmp_path, {}) == (tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "deep/er/c.txt")
    with pytest.raises(DataError, match=r"no file matches 'c\.\*'"):
        find(["c.*"], tmp_path, {})
    with pytest.raises(DataError, match="no file matches 'deep'"):
        find(["deep"], tmp_path, {})


def test_the_machine_says_where_a_named_place_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    places = {"wiki": "/data/wikitext"}
    resolved = {
        written: str(resolve(written, tmp_path, places))
        for written in ("wiki/a.txt", "./wiki/a.txt", "other/a.txt", "~/a.txt", "/b/a.txt", "wiki")
    }
    assert resolved == {
        "wiki/a.txt": "/data/wikitext/a.txt",
        "./wiki/a.txt": str(tmp_path / "wiki/a.txt"),
        "other/a.txt": str(tmp_path / "other/a.txt"),
        "~/a.txt": "/home/someone/a.txt",
        "/b/a.txt": "/b/a.txt",
        "wiki": "/data/wikitext",
    }
