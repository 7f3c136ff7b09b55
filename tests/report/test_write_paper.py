"""The paper kit: a table, a paragraph and a bibliography from the records, and pictures as PDF."""

from __future__ import annotations

from pathlib import Path

from pld_search.report.write_paper import write_paper
from tests.report.studies import demo_like


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
