from __future__ import annotations

import json
from pathlib import Path

import pytest

from pld_search.cli.schedule_picture import picture
from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.library import names
from tests.cli.conftest import Call


def shown(call: Call, *words: object) -> dict[str, object]:
    done = call("schedule", "show", *words, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_show_gives_what_other_programs_rely_on(call: Call) -> None:
    found = shown(call, "pld", "--layers", 12, "--steps", 10000)
    assert found["keep_probabilities_end"] == pytest.approx([1 - layer / 24 for layer in range(1, 13)])
    assert found["expected_layers_end"] == pytest.approx(8.75)
    assert found["expected_layers_mean"] == pytest.approx(8.78, abs=0.01)
    assert found["saved_block_flops_share"] == pytest.approx(1 - found["expected_layers_mean"] / 12)  # type: ignore[operator]
    for convention in ("temporal", "depth", "draw", "rescale", "skipped", "run"):
        assert convention in found


@pytest.mark.parametrize(("index", "layers"), [("l/L", 8.75), ("(l-1)/L", 9.25), ("(l-1)/(L-1)", 9.0)])
def test_set_changes_one_value(call: Call, index: str, layers: float) -> None:
    assert shown(call, "pld", "--set", f"depth.index={index}")["expected_layers_end"] == pytest.approx(layers)


def test_a_file_is_a_schedule_too(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\ntemporal.end: 0.7\n")
    assert shown(call, "mine.yaml")["theta_end"] == pytest.approx(0.7)


def test_show_draws_without_json(call: Call) -> None:
    done = call("schedule", "show", "pld", "--layers", 6, "--steps", 400)
    assert done.exit_code == 0
    for text in (
        "theta |",
        "    6 |",
        "index l/L",
        "rescale:  sublayer",
        "expected layers: 4.27 over the run, 4.25 at the end, of 6",
    ):
        assert text in done.stdout


def test_list_names_the_library(call: Call) -> None:
    done = call("schedule", "list", "--json")
    assert [row["name"] for row in json.loads(done.stdout)] == names()
    assert all(row["about"] for row in json.loads(done.stdout))
    assert call("schedule", "list").stdout.count("\n") == len(names())


def test_validate_tells_every_problem_of_every_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("base: pld\ntemporal.end: 1.7\nrescal: none\n")
    done = call("schedule", "validate", "pld", "bad.yaml", "nope")
    assert done.exit_code == 2
    assert done.stdout == "pld: fine\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert "bad.yaml:2:15" in lines[0]
    assert "did you mean rescale?" in lines[1]
    assert "nope" in lines[2]
    assert call("schedule", "validate", *names()).exit_code == 0


def test_a_missing_schedule_is_one_line_and_exit_2(call: Call) -> None:
    done = call("schedule", "show", "pdl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "did you mean pld?" in done.stderr


@pytest.mark.parametrize("layers", [1, 12, 96])
def test_the_picture_fits_and_falls_back_to_plain_characters(layers: int) -> None:
    schedule = load_schedule("pld")
    lines = list(picture(schedule, expect(schedule, 1000, layers), "utf-8"))
    assert 10 < len(lines) < 50
    assert max(map(len, lines)) <= 100
    assert sum("|" in line for line in lines) == min(layers, 24) + 1
    "".join(picture(schedule, expect(schedule, 1000, layers), "ascii")).encode("ascii")
