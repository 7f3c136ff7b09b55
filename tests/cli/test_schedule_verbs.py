"""`schedule plot | compare | import` and `schema`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pld_search.cli.schedule_picture import LEVELS, conventions, picture
from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.deepspeed import REMOVED
from pld_search.schedules.library import names
from tests.cli.conftest import Call

OLD = {"train_batch_size": 256, "train_micro_batch_size_per_gpu": 64, "fp16": {"enabled": True}}
BLOCK = {"enabled": True, "theta": 0.5, "gamma": 0.001}


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plot_writes_the_picture_of_several(call: Call, tmp_path: Path, ending: str) -> None:
    done = call("schedule", "plot", "pld", "raptr", "--layers", 4, "--steps", 200, "--out", f"p.{ending}")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"picture: p.{ending}\n"
    written = (tmp_path / f"p.{ending}").read_bytes()
    assert written.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])


@pytest.mark.parametrize("out", ["p.jpg", "nowhere/p.png"])
def test_plot_says_what_it_cannot_write(call: Call, out: str) -> None:
    done = call("schedule", "plot", "pld", "--steps", 100, "--out", out)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--out" in done.stderr


def compared(call: Call, *words: object) -> dict[str, dict[str, Any]]:
    done = call("schedule", "compare", *words, "--json")
    assert done.exit_code == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["schedules"]}


def test_compare_at_equal_steps_and_at_equal_flops(call: Call, tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("base: layerdrop\nname: half\ntemporal.value: 0.5\n")
    rows = compared(call, "full", "half.yaml", "layerdrop", "raptr", "random", "--layers", 12, "--steps", 1000)
    assert list(rows) == ["full", "half", "layerdrop", "raptr", "random"]
    assert rows["full"]["steps_at_equal_flops"] == 1000
    assert rows["half"]["steps_at_equal_flops"] == 2000
    assert rows["layerdrop"]["steps_at_equal_flops"] == 1249  # 0.8 is a little more than 0.8 on the grid of 2^-32
    assert rows["layerdrop"]["saved_block_flops_share"] == pytest.approx(0.2)
    assert rows["layerdrop"]["layers_variance_end"] == pytest.approx(12 * 0.16)
    assert rows["raptr"]["layers_std"] == pytest.approx(0.0, abs=1e-3)
    assert rows["raptr"]["expected_layers_end"] == 12.0


def test_the_first_schedule_is_the_reference(call: Call) -> None:
    rows = compared(call, "raptr", "full", "--steps", 1000, "--set", "depth.always=[1]")
    assert rows["raptr"]["steps_at_equal_flops"] == 1000
    assert rows["full"]["steps_at_equal_flops"] == int(1000 * rows["raptr"]["expected_layers_mean"] / 12)


def test_compare_says_why_a_schedule_has_no_other_length(call: Call, tmp_path: Path) -> None:
    (tmp_path / "fixed.yaml").write_text("base: pld-deepspeed\nname: fixed\nrun: 1000 steps\n")
    (tmp_path / "none.yaml").write_text("base: layerdrop\nname: none\ntemporal.value: 0\n")
    rows = compared(call, "full", "fixed.yaml", "none.yaml", "--steps", 1000)
    assert rows["fixed"]["steps_at_equal_flops"] is rows["none"]["steps_at_equal_flops"] is None
    assert "1000 steps" in rows["fixed"]["why"]
    text = call("schedule", "compare", "full", "fixed.yaml", "--steps", 1000).stdout
    assert "fixed: no steps at equal FLOPs" in text
    assert max(map(len, text.splitlines()[:6])) <= 100


def test_compare_tells_every_schedule_that_is_wrong(call: Call) -> None:
    done = call("schedule", "compare", "pdl", "full", "ful")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 2


def write(tmp_path: Path, config: Any) -> Path:
    file = tmp_path / "ds.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    return file


def test_import_writes_a_schedule_and_a_config_without_the_block(call: Call, tmp_path: Path) -> None:
    write(tmp_path, {**OLD, "progressive_layer_drop": BLOCK})
    done = call("schedule", "import", "ds.json", "--out", "new/folder")
    assert done.exit_code == 0, done.stderr
    for text in (
        REMOVED,
        "9.25",
        "8.75",
        "deepspeed",
        "resumed",
        "batch.groups: 4",
        "pld-search schedule compare full pld ./new/folder/ds.schedule.yaml",
    ):
        assert text in done.stdout
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / "ds.without-pld.json").read_text()) == OLD
    imported, shipped = load_schedule(folder / "ds.schedule.yaml"), load_schedule("pld-deepspeed")
    assert imported.model_dump(exclude={"name", "about", "source"}) == shipped.model_dump(
        exclude={"name", "about", "source"}
    )


def test_import_overwrites_nothing(call: Call, tmp_path: Path) -> None:
    write(tmp_path, {**OLD, "progressive_layer_drop": BLOCK})
    (tmp_path / "ds.without-pld.json").write_text("mine")
    done = call("schedule", "import", "ds.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "exists already" in done.stderr
    assert "--out" in done.stderr
    assert (tmp_path / "ds.without-pld.json").read_text() == "mine"
    assert not (tmp_path / "ds.schedule.yaml").exists()


def test_a_disabled_block_is_full_depth(call: Call, tmp_path: Path) -> None:
    write(tmp_path, {**OLD, "progressive_layer_drop": {"enabled": False}})
    found = json.loads(call("schedule", "import", "ds.json", "--json").stdout)
    assert found["schedule"] is None
    assert json.loads(Path(found["config"]).read_text()) == OLD
    assert any("`schedule: full`" in line for line in found["next"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (OLD, "no `progressive_layer_drop`"),
        ([1], "is a mapping"),
        ("{", "ds.json:1:2"),
        ('{"a": 1, "a": 2}', "same key twice"),
        ({"progressive_layer_drop": {**BLOCK, "theta": 2}}, "progressive_layer_drop.theta"),
    ],
)
def test_what_cannot_be_imported(call: Call, tmp_path: Path, config: Any, message: str) -> None:
    write(tmp_path, config)
    done = call("schedule", "import", "ds.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ds.json"]


def test_a_config_that_is_not_there(call: Call) -> None:
    assert call("schedule", "import", "ds.json").exit_code == 2


@pytest.mark.parametrize("kind", ["schedule", "study", "machine"])
def test_schema_prints_a_schema(call: Call, kind: str) -> None:
    schema = json.loads(call("schema", kind).stdout)
    Draft202012Validator.check_schema(schema)
    assert kind in schema["title"]


def test_schema_of_anything_else_is_wrong_usage(call: Call) -> None:
    assert call("schema", "recipe").exit_code == 2


@pytest.mark.parametrize("name", names())
def test_every_schedule_of_the_library_shows_its_conventions(name: str) -> None:
    schedule = load_schedule(name, layers=12, steps=1000)
    lines = list(conventions(schedule))
    assert [line.split(":")[0].strip() for line in lines] == ["temporal", "depth", "draw", "rescale", "skipped"]
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 100
    for word in (
        schedule.temporal.kind,
        schedule.depth.kind,
        schedule.draw.kind,
        schedule.draw.per,
        schedule.draw.unit,
        schedule.rescale,
        schedule.skipped,
    ):
        assert word in text


def test_conventions_that_the_library_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(
        "temporal: {kind: phases, phases: [{until: 10 %, temporal: {kind: constant, value: 1.0}},\n"
        "  {until: 100 %, temporal: {kind: stages, stages: {0 %: 0.5, 300 steps: 0.75}}}]}\n"
        "depth: {kind: table, values: [1.0, 0.5, 0.25, 0.5], always: [first, 3]}\n"
        "draw: {kind: bernoulli, per: sequence, unit: sublayer, strata: 4}\nrescale: evaluation\nskipped: "
        "freeze\nrun: 1000 steps\n"
    )
    text = "\n".join(conventions(load_schedule(file)))
    for part in (
        "until 10 %: constant, value 1.0",
        "until 100 %: stages, stages {0 %: 0.5, 300 steps: 0.75}",
        "always [first, 3]",
        "unit sublayer, strata 4",
        "p on every residual at evaluation",
        "run:      1000 steps",
    ):
        assert part in text


def test_the_full_bar_is_for_layers_that_always_run() -> None:
    schedule = load_schedule("layerskip")
    rows = [
        line for line in picture(schedule, expect(schedule, 1000, 4), "utf-8") if "|" in line and "theta" not in line
    ]
    assert rows[-1].count(LEVELS[-1]) == 64
    assert 1 <= rows[0].count(LEVELS[-1]) < 8


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_picture_says_what_it_shows(encoding: str) -> None:
    schedule = load_schedule("dd-only", layers=4, steps=1000)
    lines = list(picture(schedule, expect(schedule, 1000, 4), encoding))
    "\n".join(lines).encode(encoding)
    assert max(map(len, lines)) <= 100
    rows = {line[:5].strip(): line for line in lines if "|" in line}
    bars = {"utf-8": "▄▅▆▇", "ascii": "=+*%"}[encoding]  # 0.5, 0.625, 0.75 and 0.875 in eighths
    for layer, bar, mean in (("4", bars[0], 0.5), ("3", bars[1], 0.625), ("2", bars[2], 0.75), ("1", bars[3], 0.875)):
        assert rows[layer] == f"    {layer} |{bar * 64}| {mean:>7.3f}{mean:>7.3f}"


def test_plans_columns_hold_long_names(call: Call) -> None:
    systems = f"systems: {{a: {{schedule: full}}, {'b' * 30}: {{schedule: growth-without-sampling}}}}"
    Path("long.yaml").write_text(f"experiment: demo\nbudget: {{steps: 10000, equal: steps}}\n{systems}\nreference: a\n")
    done = call("plan", "./long.yaml")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    head, *rows = [line for line in lines if "TFLOP  " in line or " 10,000 " in line]
    assert len(rows) == 2
    for name in ("steps", "TFLOP"):
        end = head.index(name) + len(name)
        assert all(row[end - 1] != " " and row[end] == " " for row in rows), name
    assert "b" * 30 in done.stdout and "schedule growth-without-sampling" in done.stdout


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("words", [("schedule", "list"), ("schedule", "show", "raptr"), ("plan", "demo")])
def test_text_for_people_fits_the_terminal(
    call: Call, words: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call(*words).stdout.splitlines()
    assert len(lines) > 10
    assert [line for line in lines if len(line) > width and " train " not in line] == []
