"""What sets a row apart is said below its name, in the terminal and on the page."""

from __future__ import annotations

import io
from pathlib import Path

from pld_search.records.study import view
from pld_search.report.comparison import comparison
from pld_search.report.marks import marks
from pld_search.report.terminal import console, show
from pld_search.report.write import write_report
from pld_search.specs.experiment import Optimizer
from tests.report.studies import FULL, Folder, experiment


def test_a_rate_that_does_not_reach_zero_is_marked(tmp_path: Path) -> None:
    study = Folder(tmp_path / "marked", systems=["full", "deepspeed"], reference="full")
    plain = experiment(FULL, steps=200_000)
    theirs = plain.model_copy(update={"optimizer": Optimizer(lr=1e-3, shape="exponential", rate=0.99)})
    study.run(study.ask(plain, "full"), plain, 5.4)
    study.run(study.ask(theirs, "deepspeed"), theirs, 5.5)
    seen = view(study.complete())
    mark = "lr not decayed: ends at 13.9 % of its peak"
    assert {row.label: marks(row) for row in comparison(seen)} == {"full": [], "deepspeed": [mark]}
    out = io.StringIO()
    show(seen, console(out))
    assert "lr not decayed" in out.getvalue()
    write_report(tmp_path / "marked")
    assert mark in (tmp_path / "marked" / "report.html").read_text()
