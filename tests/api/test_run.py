"""`pld_search.run` and `results`: what they hand on and what they raise. A real study runs in
tests/test_tutorial.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pld_search
from pld_search.api import run as module
from pld_search.app.run_study import Services
from pld_search.errors import ConfigError, Interrupted, StudyError
from pld_search.records.study_events import RunExited, TrialTold
from pld_search.records.study_record import StudyWriter
from tests.cli.conftest import study

__all__ = ["study"]

STUDY = """
name: small
experiment:
  model: {layers: 4, hidden: 32, heads: 2}
  data: {train: demo, tokenizer: {train: wordpiece, vocabulary: 1000}, length: 16}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
  schedule: pld
budget: {steps: 20}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLD_SEARCH_STEPS", raising=False)
    (tmp_path / "small.yaml").write_text(STUDY)


def conducted(monkeypatch: pytest.MonkeyPatch, code: int) -> dict[str, Any]:
    """`conduct` replaced by one that returns `code` at once; what it was given."""
    given: dict[str, Any] = {}

    def conduct(*words: Any, **options: Any) -> int:
        given.update(options, study=words[0], folder=words[1], machine=words[2], services=words[3])
        return code

    monkeypatch.setattr(module, "conduct", conduct)
    return given


def test_what_is_handed_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = conducted(monkeypatch, 0)
    heard: list[str] = []
    sets = ["budget.steps=7", "machine.slots=3", "machine.threads=1"]
    done = pld_search.run(
        "./small.yaml",
        sets=sets,
        runs="runs",
        tracking_uri="sqlite:///x.db",
        storage="postgresql://y",
        tell=heard.append,
    )
    assert (given["study"].budget.steps, given["machine"].slots, given["machine"].threads, given["folder"]) == (
        7,
        3,
        1,
        Path("runs/small"),
    )
    assert given["services"] == Services("sqlite:///x.db", "postgresql://y")
    given["tell"]("preparing")
    assert heard == ["preparing"]
    assert [row["system"] for row in done.rows] == ["full", "half", None]


def test_the_machines_file(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.yaml").write_text("slots: 8\nruns: ./elsewhere\n")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "runs")
    given = conducted(monkeypatch, 0)
    done = pld_search.run(Path("small.yaml"), machine="big.yaml")
    assert given["machine"].slots == 8
    assert done.folder == tmp_path / "elsewhere" / "small"


def test_results_are_the_reports(study: Path) -> None:
    by_name, by_folder = pld_search.results("small"), pld_search.results(study)
    assert by_name.rows == by_folder.rows
    assert [(row.label, row.mean("valid/loss")) for row in by_name.comparison[:2]] == [("full", 4.2), ("half", 4.1)]
    assert by_name.records.runs[1, 0].final["test/loss"] == 4.1
    with pytest.raises(ConfigError, match="did you mean small"):
        pld_search.results("smal")


def failed(folder: Path) -> None:
    """What a coordinator records of a run that crashed for good."""
    records = StudyWriter(folder / "study.jsonl")
    records.write(RunExited(trial=2, seed_index=0, launch=1, code=1, outcome="crashed", reason="no kernel image"))
    records.write(TrialTold(trial=2, state="FAIL", values=None, constraints={}, reason="no kernel image"))
    records.close()


@pytest.mark.parametrize(
    ("code", "before", "error", "message"),
    [
        (130, None, Interrupted, "the same call goes on"),
        (143, None, Interrupted, "stopped by a signal"),
        (1, failed, StudyError, "1 of 3 runs failed for good (trial 2, seed 0: no kernel image)"),
    ],
)
def test_what_is_raised(
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    before: Callable[[Path], None] | None,
    error: type[Exception],
    message: str,
) -> None:
    conducted(monkeypatch, code)
    if before is not None:
        before(study)
    with pytest.raises(error, match=re.escape(message)) as raised:
        pld_search.run("./small.yaml")
    assert raised.value.exit_code == code  # type: ignore[attr-defined]
    assert len(pld_search.results("small").rows) == 3


def test_bad_input_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="did you mean demo"):
        pld_search.run("demmo")
    with pytest.raises(ConfigError, match=r"small\.yaml:4:"):
        Path("small.yaml").write_text(STUDY.replace("layers: 4", "layerz: 4"))
        pld_search.run("./small.yaml")
    with pytest.raises(ConfigError, match="no machine file"):
        pld_search.run("demo", machine="none.yaml")
    assert capfd.readouterr() == ("", "")
