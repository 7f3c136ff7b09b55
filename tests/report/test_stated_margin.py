"""A margin in compute: against statistics/margin.py, by rows at other budgets and by the course of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import StudyView, view
from pld_search.records.winner import winner
from pld_search.report import wording
from pld_search.report.comparison import comparison
from pld_search.report.stated_margin import margin_of
from pld_search.report.study_summary import summary
from pld_search.statistics.margin import margin_of_budget
from tests.report.studies import FULL, STEPS, Folder, experiment, schedule

NOISE = {0: 0.0, 1: 0.002, 2: -0.001}


def study(path: Path, share: bool) -> StudyView:
    """Full depth, a row that is 0.004 nats better, and full depth at 0.8 and 1.25 of the budget, three seeds each."""
    losses = {"full": 5.0, "near": 4.996} | ({"less": 5.05, "more": 4.95} if share else {})
    trees = {"less": {"budget_share": "80 %"}, "more": {"budget_share": 1.25}}
    folder = Folder(path, trees, systems=list(losses), reference="full", decide={"margin": "10 % of FLOPs"})
    for name, loss in losses.items():
        steps = {"less": STEPS * 4 // 5, "more": STEPS * 5 // 4}.get(name, STEPS)
        what = experiment(schedule("near", 0.99) if name == "near" else FULL, steps)
        trial = folder.ask(what, name, seeds=(0, 1, 2))
        for seed, noise in NOISE.items():
            own = noise if name in ("full", "near") else 0.5 * noise
            folder.run(trial, what, loss + own + (0.0005 * seed if name == "near" else 0.0), seed)
    return view(folder.complete())


def test_declared_budgets_give_the_slope_and_are_not_judged(tmp_path: Path) -> None:
    seen = study(tmp_path / "s", share=True)
    table, about = comparison(seen), summary(seen)
    full, near, less, more = table
    assert full.cost is not None and less.cost is not None and more.cost is not None
    wanted = margin_of_budget(
        {
            row.cost.tflop / full.cost.tflop: {seed: run.final["valid/loss"] for seed, run in row.runs.items()}
            for row in (full, less, more)
            if row.cost is not None
        },
        0.1,
    )
    assert full.margin is not None and full.margin.found == wanted
    assert near.differences["valid/loss"].words == f"equal within {wanted.nats:.3g} nats"
    assert (less.no_verdict, more.no_verdict) == ("at 80 % of the budget", "at 125 % of the budget")
    assert more.differences["valid/loss"].verdict is None
    assert "by its runs at 0.8 and 1.25 of its budget" in wording.rule(about, table)
    won = winner(seen.study)
    assert won is not None and won.trial == near.trial  # the dearer row has the least loss


def test_without_them_the_course_of_the_reference_is_a_guide(tmp_path: Path) -> None:
    seen = study(tmp_path / "s", share=False)
    full = comparison(seen)[0]
    assert full.margin is not None and full.margin.found is not None
    course = {
        step / STEPS: {seed: dict(run.series["valid/loss"])[step] for seed, run in full.runs.items()}
        for step in range(STEPS * 4 // 10, STEPS, STEPS // 10)
    }
    assert full.margin.found.nats == pytest.approx(margin_of_budget(course, 0.1).nats)
    assert "a guide" in full.margin.text


def test_a_loss_that_does_not_fall_gives_no_margin() -> None:
    found = margin_of(0.05, {0.8: {0: 4.9}}, {0: 5.0}, {0: RunRecord()})
    assert found.found is None and "does not fall" in found.text
