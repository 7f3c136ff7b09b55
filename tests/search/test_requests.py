from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.search.requests import FOLDER, Inbox, Request, request


def test_requests_are_taken_in_order_and_once(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    assert list(inbox.take()) == []
    request(tmp_path, "retry", trial=3)
    left = request(tmp_path, "stop", now=True)
    assert list(inbox.take()) == [Request("retry", {"trial": 3}), Request("stop", {"now": True})]
    assert not left.exists()
    assert list(inbox.take()) == []


def test_what_was_not_seen_to_stays(tmp_path: Path) -> None:
    request(tmp_path, "retry", trial=None)
    with pytest.raises(RuntimeError):
        for _ in Inbox(tmp_path).take():
            raise RuntimeError
    assert list(Inbox(tmp_path).take()) == [Request("retry", {"trial": None})]


def test_a_stop_is_for_the_coordinator_that_ran(tmp_path: Path) -> None:
    request(tmp_path, "stop", now=False)
    request(tmp_path, "retry", trial=1)
    (tmp_path / FOLDER / "0.json").write_text("not json")
    (tmp_path / FOLDER / "1.json").write_text("[1]")
    inbox = Inbox(tmp_path)
    inbox.drop_stops()
    assert [each.kind for each in inbox.take()] == ["retry"]
