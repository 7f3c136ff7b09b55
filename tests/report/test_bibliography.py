"""References of a paper: every shipped source, what is no reference, and one entry for rows that share a source."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report import bibliography as module
from pld_search.report.bibliography import bibliography, entry, sources
from pld_search.report.comparison import SystemRow, comparison
from pld_search.schedules.library import shipped
from pld_search.specs.yaml_io import load_file
from tests.report.studies import demo_like

PLD = 'Zhang & He, "Accelerating", NeurIPS 2020, arXiv 2010.13369'
STATED = {name: str(load_file(path).get("source", "")) for name, path in shipped("schedules").items()}


@pytest.fixture
def rows(tmp_path: Path) -> list[SystemRow]:
    return [row for row in comparison(view(demo_like(tmp_path / "s"))) if row.system is not None]


def sourced(row: SystemRow, name: str, source: str) -> SystemRow:
    assert row.experiment is not None
    schedule = row.experiment.schedule.model_copy(update={"name": name, "source": source})
    return replace(row, experiment=row.experiment.model_copy(update={"schedule": schedule}))


@pytest.mark.parametrize("name", [name for name, source in STATED.items() if "arXiv" in source])
def test_every_shipped_source_with_a_number_is_an_entry(name: str) -> None:
    found = entry(name, STATED[name])
    assert found.startswith(f"@misc{{{name},") and "eprint = {" in found and found.count("{") == found.count("}")
    assert ("author = {" in found) != ("key = {" in found)  # without either BibTeX cannot sort it
    assert '"' not in found


def test_authors_and_titles_are_taken_from_sources_that_begin_with_them() -> None:
    assert "author = {Fan and others}" in entry("layerdrop", STATED["layerdrop"])
    assert "title = {{Don't Drop Dropout}}" in entry("decreasing-drop", STATED["decreasing-drop"])
    assert "author" not in entry("decreasing-drop", STATED["decreasing-drop"])
    random = entry("random", STATED["random"])
    assert "author" not in random and "title" not in random and "``Random''" in random


def test_rows_that_share_a_source_share_its_entry(rows: list[SystemRow]) -> None:
    one, two, three = (sourced(rows[0], name, source) for name, source in (("a", PLD), ("b", PLD), ("c", "asked for")))
    assert sources([one, two, three]) == {"a": PLD}
    text = bibliography([one, two, three])
    assert [line for line in text.splitlines() if line.startswith("@")] == [
        "@misc{a,",
        "@article{dunnett1955,",
        "@article{schuirmann1987,",
    ]


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(module).failed == 0
