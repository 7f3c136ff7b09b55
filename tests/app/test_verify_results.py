"""Published results are recomputed and compared, and a run is trained again bit for bit."""

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pld_search.app.verify_results import TOLERANCE, Published, compared, published_run, unequal, verify
from pld_search.cli.main import app
from pld_search.errors import ConfigError, StudyError
from pld_search.records.events import RunEvent, run_events
from pld_search.records.packed_records import pack
from tests.search.real_studies import real_study, run

RESULTS = """
import json, pathlib, sys
out, here = pathlib.Path(sys.argv[2]), pathlib.Path(__file__).parent
loss = float((here / "records/loss").read_text())
(out / "results.json").write_text(json.dumps({"A": {"loss": loss, "verdict": "better"}}))
(out / "RESULTS.md").write_text(f"# Results\\n\\nThe loss is {loss:.3f}.\\n\\n![A](pictures/a.svg)\\n")
(out / "pictures").mkdir(exist_ok=True)
(out / "pictures/a.svg").write_text("<svg/>")
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder of published results whose page holds."""
    folder = tmp_path / "published"
    (folder / "records").mkdir(parents=True)
    (folder / "pictures").mkdir()
    (folder / "__init__.py").touch()
    (folder / "results.py").write_text(RESULTS)
    (folder / "records/loss").write_text("3.25")
    (folder / "results.json").write_text('{"A": {"loss": 3.25, "verdict": "better"}}')
    (folder / "RESULTS.md").write_text("# Results\n\nThe loss is 3.250.\n\n![A](pictures/a.svg)\n")
    (folder / "pictures/a.svg").touch()
    return folder


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_results_that_follow_from_their_records_are_verified(published: Path) -> None:
    assert all(check.holds for check in verify(published))
    done = call(published)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "numbers and verdicts: verified: 2 recomputed, all equal",
        "page: verified: 5 lines, all equal",
        "pictures: verified: 1 there",
    ]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("results.json", '{"A": {"loss": 3.26, "verdict": "better"}}', "A / loss: published 3.26, found 3.25"),
        ("results.json", '{"A": {"loss": 3.25, "verdict": "worse"}}', "A / verdict: published worse, found better"),
        ("results.json", '{"A": {"loss": 3.25}}', "A / verdict: not published"),
        ("RESULTS.md", "# Results\n\nThe loss is 3.1.\n", "line 3: published 'The loss is 3.1.'"),
        ("records/loss", "3.27", "A / loss: published 3.25, found 3.27"),
        ("RESULTS.md", "# Results\n\n![B](pictures/b.svg)\n", "missing: pictures/b.svg"),
    ],
)
def test_what_does_not_follow_is_named_and_the_exit_code_is_one(
    published: Path, file: str, text: str, said: str
) -> None:
    (published / file).write_text(text)
    done = call(published)
    assert done.exit_code == 1
    assert "DIFFERS" in done.stdout and said in done.stdout


def test_numbers_may_differ_by_rounding_only() -> None:
    assert list(unequal({"a": [1.0, 2]}, {"a": [1.0 + 1e-12, 2]})) == []
    assert list(unequal({"a": [1.0, 2]}, {"a": [1.0 + 1e-6, 2]})) == ["a / 0: published 1.0, found 1.000001"]
    assert list(unequal([1], [1, 2])) == [": published [1], found [1, 2]"]


def test_a_folder_without_published_results_is_refused(tmp_path: Path, published: Path) -> None:
    with pytest.raises(ConfigError, match="no folder of published results"):
        verify(tmp_path)
    assert call(tmp_path).exit_code == 2
    (published / "results.py").write_text("raise SystemExit('the records are damaged')")
    with pytest.raises(StudyError, match="the records are damaged"):
        verify(published)


def test_a_run_that_is_not_there_is_refused_with_those_that_are(published: Path) -> None:
    target = published / "records/tiny/trials/0002/seed-1/events.jsonl.xz"
    target.parent.mkdir(parents=True)
    target.write_bytes(lzma.compress(b"{}\n"))
    for name in ("tiny/0/0", "tiny", "../tiny/0/0", "other/2/1"):
        with pytest.raises(ConfigError, match="tiny/2/1"):
            published_run(published, name)


def events(loss: float, **provenance: object) -> list[RunEvent]:
    told = {"commit": "c", "versions": {"torch": "2.13.0+cpu"}, "threads": 1, **provenance}
    series: list[dict[str, Any]] = [
        {"event": "started", "provenance": told},
        {"event": "progress", "metrics": {"train/loss": loss + 1}, "timing": {"progress/seconds": 7.0}},
        {"event": "evaluated", "metrics": {"test/loss": loss}},
    ]
    return run_events({**event, "attempt": 1, "step": number} for number, event in enumerate(series))


RECORDED = Published(events(3.0), {}, {"instruction_set": "AVX2"})


def test_equal_bits_are_equal_whatever_trained_them() -> None:
    (check,) = compared(RECORDED, events(3.0, commit="other"), "AVX512")
    assert check.holds and "2 numbers, all equal bit for bit" in check.seen


def test_other_bits_fail_where_bits_must_agree() -> None:
    (check,) = compared(RECORDED, events(3.0 + 1e-12), "AVX2")
    assert not check.holds and "first at step 1" in check.seen


def test_the_first_steps_are_compared_with_what_was_recorded_up_to_there() -> None:
    of_the_pause = run_events([{"event": "valid", "attempt": 1, "step": 1, "metrics": {"valid/loss": 9.0}}])
    (check,) = compared(RECORDED, [*events(3.0)[:2], *of_the_pause], "AVX2", until=1)
    assert check.holds and check.seen == "1 numbers, all equal bit for bit"
    (check,) = compared(RECORDED, events(3.5)[:2], "AVX2", until=1)
    assert not check.holds
    (check,) = compared(RECORDED, events(3.0 + 2 * TOLERANCE)[:2], "AVX512", until=1)
    assert not check.holds and check.what == "train/loss"
    with pytest.raises(ConfigError, match="no numbers up to that step"):
        compared(RECORDED, events(3.0)[:2], "AVX2", until=0)


def test_until_belongs_to_retrain(published: Path) -> None:
    assert call(published, "--until", "3").exit_code == 2


@pytest.mark.parametrize(
    ("changed", "instruction_set"),
    [({"commit": "d"}, "AVX2"), ({"versions": {"torch": "3"}}, "AVX2"), ({"threads": 2}, "AVX2"), ({}, "AVX512")],
)
def test_other_bits_have_a_tolerance_where_a_condition_differs(changed: dict[str, Any], instruction_set: str) -> None:
    for distance, holds in ((TOLERANCE / 2, True), (2 * TOLERANCE, False)):
        (check,) = compared(RECORDED, events(3.0 + distance, **changed), instruction_set)
        assert check.what == "test/loss" and check.holds is holds
        assert "recorded:" in check.seen


def test_a_run_that_is_trained_again_gives_the_same_bits(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    study = real_study(tmp_path / "study", steps=12, systems=1)
    assert run(study, tmp_path / "runs" / "tiny", {}, monkeypatch) == 0
    machine = {"torch": torch.__version__, "instruction_set": torch.backends.cpu.get_cpu_capability()}
    pack(tmp_path / "runs" / "tiny", published / "records" / "tiny", machine)
    file = tmp_path / "machine.yaml"
    file.write_text(f"cache: {tmp_path / 'cache'}\n")
    done = call(published, "--retrain", "tiny/0/0", "--machine", file, "--out", tmp_path / "again", "--json")
    assert done.exit_code == 0, done.output
    (check,) = json.loads(done.stdout)
    assert check["holds"] and "all equal bit for bit" in check["seen"]
    assert (tmp_path / "again" / "events.jsonl").is_file()
    done = call(published, "--retrain", "tiny/0/0", "--machine", file, "--until", "7")
    assert done.exit_code == 0 and "all equal bit for bit" in done.stdout
    program = tmp_path / "other"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('no such verb')\n")
    program.chmod(0o755)
    done = call(published, "--retrain", "tiny/0/0", "--machine", file, "--program", program)
    assert done.exit_code == 1 and "no such verb" in done.output
