from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pld_search.api.notebook_bar import Telling, in_notebook
from tests.report.studies import FULL, Folder, experiment


@pytest.fixture
def half(tmp_path: Path) -> Folder:
    """A study of two runs of equal FLOPs, of which one has ended."""
    study = Folder(tmp_path / "half", systems=["full", "again"], reference="full")
    what = experiment(FULL)
    forecast = {"forecast/total_flops": 1e12}
    study.run(study.ask(what, "full", forecast=forecast), what, 5.4)
    study.ask(what, "again", forecast=forecast)
    return study


class Notebook:
    """A kernel's display, as IPython hands it out."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        shell = SimpleNamespace(kernel=object())
        self.module = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=self._display))

    def _display(self, value: Any, display_id: bool) -> Any:
        assert display_id
        self.shown.append(value)
        return SimpleNamespace(update=self.shown.append)


def test_lines_without_a_notebook(half: Folder) -> None:
    heard: list[str] = []
    telling = Telling(heard.append)
    telling.notice(half.path)
    telling.close(half.path)
    assert not in_notebook()
    assert [text.partition(",")[0] for text in heard] == [
        "full seed 0: finished",
        "half ━━━━━━╌╌╌╌╌╌ 1 of 2 runs · 50 % of the FLOPs",
    ]


def test_a_notebook_has_one_bar_that_moves(half: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", notebook.module)  # type: ignore[arg-type]
    now = [100.0]
    telling = Telling(None, clock=lambda: now[0])
    telling.notice(half.path)
    now[0] += 0.1
    telling.notice(half.path)
    assert len(notebook.shown) == 1
    now[0] += 5
    telling.notice(half.path)
    telling.close(half.path)
    assert len(notebook.shown) == 3
    last = notebook.shown[-1]
    assert repr(last) == "half ━━━━━━╌╌╌╌╌╌ 1 of 2 runs · 50 % of the FLOPs"
    assert '<progress value="0.5000" max="1"' in last._repr_html_()
    assert "half 1 of 2 runs · 50 % of the FLOPs" in last._repr_html_()
