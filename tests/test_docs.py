"""The documents are true of the code: every verb, key, metric and schedule is described, and every link leads
somewhere.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from typer.main import get_command

from pld_search.cli.main import app
from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.combinations import REFUSED
from pld_search.schedules.conventions import Rescale, Skipped
from pld_search.schedules.deepspeed import REMOVED, import_config
from pld_search.schedules.depth import Depth
from pld_search.schedules.draw import Draw
from pld_search.schedules.library import names, shipped
from pld_search.schedules.schedule import Schedule
from pld_search.schedules.temporal import Temporal
from pld_search.spaces.load_study import WrittenStudy, load_study
from pld_search.spaces.metric_names import TRAINED
from pld_search.specs.machine import Machine
from pld_search.specs.template import ExperimentTemplate, ModelFrom
from pld_search.specs.yaml_io import load, plain

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TEXTS = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model class inside a (nested) annotation."""
    if get_origin(annotation) is Annotated:
        yield from models_in(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, tuple):
        for inner in get_args(annotation):
            yield from models_in(inner)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def keys_of(model: type[BaseModel]) -> set[str]:
    """Every key a user may write in a model and the models inside it."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for inner in models_in(field.annotation):
            found |= keys_of(inner)
    return found


def verbs() -> list[str]:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [f"{name} {verb}" for verb in inner] if inner else [name]
    return found


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_described(verb: str) -> None:
    assert any(re.search(rf"pld-search\s+{verb}\b", text) for text in TEXTS.values()), verb


@pytest.mark.parametrize(
    ("model", "page"),
    [
        (ExperimentTemplate, "studies.md"),
        (ModelFrom, "studies.md"),
        (WrittenStudy, "studies.md"),
        (Machine, "studies.md"),
        (Schedule, "schedules.md"),
    ],
)
def test_every_key_is_described(model: type[BaseModel], page: str) -> None:
    keys = keys_of(model)
    if model is ExperimentTemplate:  # the generator's schedule is described where schedules are
        keys = keys - keys_of(Schedule)
    missing = sorted(key for key in keys if not re.search(rf"\b{re.escape(key)}\b", TEXTS[page]))
    assert keys
    assert not missing


@pytest.mark.parametrize("metric", sorted(TRAINED))
def test_every_metric_is_described(metric: str) -> None:
    assert f"`{metric}`" in TEXTS["runs.md"]


@pytest.mark.parametrize("name", names())
def test_every_schedule_of_the_library_is_described(name: str) -> None:
    assert f"| `{name}` |" in TEXTS["schedules.md"]


@pytest.mark.parametrize("name", names())
def test_the_library_keeps_what_the_page_says(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*?\| ([\d.]+) % \|", TEXTS["schedules.md"], re.MULTILINE)
    kept = expect(load_schedule(name, layers=12, steps=10_000), 10_000, 12).expected_layers_mean / 12
    assert 100 * kept == pytest.approx(float(row), abs=0.051)


@pytest.mark.parametrize(("block", "heading"), [(Temporal, "## Time"), (Depth, "## Depth"), (Draw, "## Draws")])
def test_every_family_is_described_where_it_belongs(block: Any, heading: str) -> None:
    section = TEXTS["schedules.md"].split(heading, 1)[1].split("\n## ", 1)[0]
    families = list(models_in(block))
    assert len(families) >= 3
    for family in families:
        kind = family.model_fields["kind"].default
        assert f"| `{kind}` |" in section or f"| `kind: {kind}` |" in section, kind
        missing = [key for key in keys_of(family) - {"kind"} if not re.search(rf"\b{key}\b", section)]
        assert missing == []


@pytest.mark.parametrize("word", [*get_args(Rescale), *get_args(Skipped)])
def test_every_word_of_rescale_and_skipped_is_described(word: str) -> None:
    assert f"| `{word}` |" in TEXTS["schedules.md"]


def table_below(heading: str, number: int) -> list[list[str]]:
    """The cells of the n-th table of a section of the page on schedules, its head included."""
    section = TEXTS["schedules.md"].split(heading, 1)[1].split("\n## ", 1)[0]
    tables = [block for block in section.split("\n\n") if block.lstrip().startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in tables[number].strip().splitlines()
        if not line.startswith("|---")
    ]


def test_every_refused_combination_has_its_row() -> None:
    assert len(table_below("## Combinations", 0)) - 1 == len(REFUSED)


def test_the_table_of_combinations_is_what_is_accepted() -> None:
    head, *rows = table_below("## Combinations", 1)
    cells = 0
    for words, *row in rows:
        kind, per, unit = words.split(", ")
        draw = {"kind": kind, "per": per, "unit": unit} | ({"strata": 4} if per == "sequence" else {})
        for column, cell in zip(head[1:], row, strict=True):
            for word in re.findall(r"`(\w+)`", column):
                rescale, skipped = (word, "freeze") if word in get_args(Rescale) else ("none", word)
                assert accepted(draw, rescale, skipped) == (cell == "yes"), (words, word)
                cells += 1
    assert cells == 7 * 8


def accepted(draw: dict[str, Any], rescale: str, skipped: str) -> bool:
    theta = {"kind": "constant", "value": 0.5}
    try:
        Schedule.model_validate(
            {
                "temporal": theta,
                "depth": {"kind": "linear", "index": "(l-1)/L"},
                "draw": draw,
                "rescale": rescale,
                "skipped": skipped,
            }
        )
    except ValueError:
        return False
    return True


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXTS[page], re.DOTALL)


def test_deepspeeds_sentence_can_be_found() -> None:
    assert REMOVED in TEXTS["deepspeed.md"]


def test_the_way_from_deepspeed_leads_to_a_study(tmp_path: Path) -> None:
    (config,) = blocks("deepspeed.md", "json")
    schedule, study = blocks("deepspeed.md", "yaml")
    imported = import_config(json.loads(config))
    people = ("about", "source")
    assert plain(load(schedule, "page")) == {
        key: value for key, value in (imported.schedule or {}).items() if key not in people
    }
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "ds_config.schedule.yaml").write_text(schedule)
    (tmp_path / "study.yaml").write_text(study)
    found = load_study(tmp_path / "study.yaml")
    assert [system.name for system in found.systems] == ["full", "before", "before-unbiased", "paper", "shallow"]
    assert found.system("before").tree["schedule"]["rescale"] == "deepspeed"
    assert imported.config == {
        key: value for key, value in json.loads(config).items() if key != "progressive_layer_drop"
    }


def test_shipped_studies_are_named_somewhere() -> None:
    unnamed = [name for name in shipped("spaces") if not any(name in text for text in TEXTS.values())]
    assert not unnamed


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_links_lead_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else DOCS
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page]):
        if not target.startswith("https://"):
            assert (folder / target).exists(), target


def test_decisions_are_listed() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    files = sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))
    assert files
    assert all(f"({name})" in index for name in files)
