from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pld_search.data import spool as module
from pld_search.data.spool import Spool, as_number, content_hash
from pld_search.errors import DataError


def test_documents_come_back_whole_and_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 10)
    texts = ["short", "line one is long\nline two\n\nline four without an end", "ends with a line\n", "é" * 50]
    with Spool(tmp_path) as spool:
        assert spool.read("a", lambda _: [iter(text) for text in texts]) == 4
        assert len(spool) == 4
        for document in (2, 0, 3, 1):
            assert "".join(spool.text(document)) == texts[document]
            assert spool.bytes_of(np.array([document])) == len(texts[document].encode())
        assert all(block.endswith("\n") for block in list(spool.text(1))[:-1])
    assert list(tmp_path.iterdir()) == []


def test_documents_without_text_are_left_out(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        assert spool.read("a", lambda _: [["a"], [" \n", "\t"], [], ["b"]]) == 2
        assert ["".join(spool.text(document)) for document in range(2)] == ["a", "b"]


def test_a_hash_is_of_the_content_however_it_is_cut(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.read("a", lambda _: [["abc", "def"], ["abcdef"], ["abcde"]])
        first, second, third = spool.hashes.tolist()
    assert first == second != third


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool, pytest.raises(DataError, match="document 2 holds half of a surrogate pair"):
        spool.read("a", lambda _: [["good"], ["\ud800"]])


TEXTS = [f"document {number} " + "x" * number for number in range(40)]


def after(skip: int) -> Iterator[list[str]]:
    return ([text] for text in TEXTS[skip:])


def interrupted(skip: int) -> Iterator[list[str]]:
    for number, pieces in enumerate(after(skip)):
        if number == 25:
            raise KeyboardInterrupt
        yield pieces


def test_an_interrupted_reading_goes_on_from_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MARK_EVERY", 200)
    with pytest.raises(KeyboardInterrupt), Spool(tmp_path) as spool:
        spool.read("first", lambda _: [["whole"]])
        spool.read("second", interrupted)
    skipped: list[int] = []

    def rest(skip: int) -> Iterator[list[str]]:
        skipped.append(skip)
        return after(skip)

    def never(skip: int) -> Iterator[list[str]]:
        raise AssertionError("read again")

    with Spool(tmp_path) as spool:
        assert spool.read("first", never) == 1
        assert spool.read("second", rest) == len(TEXTS)
        assert 0 < skipped[0] <= 25
        assert ["".join(spool.text(document)) for document in range(len(spool))] == ["whole", *TEXTS]
        assert spool.hashes[1] == as_number(content_hash([TEXTS[0]]))
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_after_the_mark_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Spool(tmp_path) as spool:
        spool.read("first", lambda _: [["whole"]])
        raise KeyboardInterrupt
    for name in (module.TEXT, module.INDEX):
        with (tmp_path / name).open("ab") as file:
            file.write(b"torn")
    with Spool(tmp_path) as spool:
        spool.read("second", lambda _: [["more"]])
        assert ["".join(spool.text(document)) for document in range(len(spool))] == ["whole", "more"]


def test_sizes(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.read("a", after)
        chosen = np.array([0, 7, 39])
        assert spool.sizes(chosen).tolist() == [len(TEXTS[number]) for number in chosen]
        assert spool.bytes_of(chosen) == sum(len(TEXTS[number]) for number in chosen)
