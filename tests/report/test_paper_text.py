"""Table and methods of a paper: what all rows share is said once, and what differs stands in the table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report.bibliography import bibliography
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.paper_text import latex_table, methods, write_paper
from pld_search.report.study_summary import Summary, summary
from pld_search.statistics.spread import Spread
from tests.report.studies import demo_like
from tests.report.test_bibliography import PLD, sourced

Study = tuple[list[SystemRow], Summary]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    seen = view(demo_like(tmp_path / "s"))
    return [row for row in comparison(seen) if row.system is not None], summary(seen)


def cells(text: str) -> list[list[str]]:
    return [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]


def test_models_are_told_apart_by_what_differs(study: Study) -> None:
    rows, about = study
    assert {row[1] for row in cells(latex_table(rows, about))[1:]} == {r"6 $\times$ 96", r"4 $\times$ 96"}
    changed = [replace(rows[0], model="6 x 96, post, alibi"), *rows[1:]]
    assert cells(latex_table(changed, about))[1][1] == r"6 $\times$ 96, post"


def test_numbers_of_seeds_stand_where_they_differ(study: Study) -> None:
    rows, about = study
    primary = str(about.decide.primary)
    alike = [replace(row, metrics={primary: Spread.of([5.0, 5.2])}) for row in rows]
    assert "n = " not in latex_table(alike, about)
    other = [replace(rows[0], metrics={primary: Spread.of([5.0, 5.2, 5.1])}), *alike[1:]]
    found = cells(latex_table(other, about))
    assert "(n = 3)" in found[1][3] and "(n = 2)" in found[2][3]


def test_verdicts_are_a_word(study: Study) -> None:
    rows, about = study
    words = [row[5] for row in cells(latex_table(rows, about))[1:]]
    assert words[0] == "reference"
    assert all(len(word) < 25 and ":" not in word for word in words)


def test_methods_cite_what_the_bibliography_has(study: Study) -> None:
    rows, about = study
    known = [rows[0], sourced(rows[1], "pld", PLD), sourced(rows[2], "other", PLD), *rows[3:]]
    text = methods(known, about)
    assert text.count(r"\cite{pld}") == 2
    cited = set(re.findall(r"\\cite\{([^}]*)\}", text))
    assert cited <= set(re.findall(r"^@\w+\{(.*),$", bibliography(known), flags=re.MULTILINE))
    assert "dunnett1955" in cited
    assert "with AdamW" in text


def test_what_a_paper_takes_of_a_study(tmp_path: Path) -> None:
    files = {path.name: path for path in write_paper(demo_like(tmp_path / "my_study")).iterdir()}
    assert set(files) == {"table.tex", "methods.tex", "references.bib"}
    table = files["table.tex"].read_text()
    lines = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in lines} == {6}
    assert [line.split(" & ")[0] for line in lines[1:]] == ["full", "pld", "shallow", "random", "tuned"]
    assert "$-$0.0" in table and "±" not in table
    methods = files["methods.tex"].read_text()
    assert "6 layers of width 96" in methods and "torch 2.13.0" in methods and "abc123" in methods
    assert methods.count("%") == methods.count(r"\%") and methods.count("_") == methods.count(r"\_")
