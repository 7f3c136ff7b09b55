"""The headline: the gate on depth on recorded numbers, and verdicts in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_events import StudyOpened
from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.headline import Depth, better_depth, lines
from pld_search.report.study_summary import summary
from pld_search.statistics.verdict import Verdict
from tests.report.studies import FULL, PLD, Folder, equal_steps, experiment

BUDGETS = {1: {6: 5.386, 4: 5.274, 2: 5.057}, 4: {6: 4.582, 2: 3.651}}
"""Losses of full-depth models of width 96 at equal FLOPs, by the budget and the layers; one seed each."""
NOISE = ((0.0, 0.003, -0.004), (0.004, -0.003, 0.002), (-0.001, 0.002, 0.001))


def said(folder: Path) -> list[str]:
    seen = view(folder)
    return lines(comparison(seen), summary(seen))


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_gate_fires_where_two_layers_beat_six(budget: int) -> None:
    losses = BUDGETS[budget]
    rows = [Depth(f"{n} layers", n, loss - losses[6], None, known=False) for n, loss in losses.items()]
    found = better_depth(6, rows)
    assert found is not None
    assert found.label == "2 layers"


@pytest.mark.parametrize(
    ("layers", "difference", "verdict", "known", "fires"),
    [
        (4, -0.127, Verdict.BETTER, True, True),
        (4, -0.127, Verdict.UNDECIDED, True, False),  # its interval holds 0
        (4, -0.001, Verdict.EQUAL, True, False),
        (4, 0.127, None, False, False),
        (6, -0.127, Verdict.BETTER, True, False),
        (8, -0.127, Verdict.BETTER, True, False),
    ],
)
def test_the_gate_needs_fewer_layers_and_a_better_loss(
    layers: int, difference: float, verdict: Verdict | None, known: bool, fires: bool
) -> None:
    assert (better_depth(6, [Depth("row", layers, difference, verdict, known)]) is not None) == fires


def depths(path: Path, shallow: float, seeds: int) -> Path:
    folder = Folder(path, systems=["full", "pld", "shallow"], reference="full")
    rows = {"full": experiment(FULL), "pld": equal_steps(experiment(PLD))}
    rows["shallow"] = equal_steps(experiment(FULL, layers=4))
    means = {"full": 5.386, "pld": 5.39, "shallow": shallow}
    for row, (name, what) in enumerate(rows.items()):
        trial = folder.ask(what, name, seeds=range(seeds))
        for seed in range(seeds):
            folder.run(trial, what, means[name] + 0.05 * seed + NOISE[row][seed], seed)
    return folder.complete()


def test_the_wrong_depth_is_the_first_sentence(tmp_path: Path) -> None:
    first, *others = said(depths(tmp_path / "sure", 5.274, 3))
    assert first == (
        "Fewer layers are better at this budget: shallow (4 layers, full depth) beats full (6 layers) by 0.111 nats on"
        " valid/loss. The schedules are judged on the wrong depth."
    )
    assert others[0].startswith("Better than full on valid/loss: shallow by 0.111 nats (")
    assert any(sentence.startswith("Undecided") for sentence in others)


def test_with_one_seed_the_gate_says_that_no_spread_is_known(tmp_path: Path) -> None:
    first, second, *_ = said(depths(tmp_path / "one", 5.274, 1))
    assert first.startswith("Fewer layers look better at this budget: shallow (4 layers, full depth)")
    assert "with no spread known" in first
    assert second == "No row is shown to be better than full on valid/loss."


def test_a_depth_that_holds_is_not_mentioned(tmp_path: Path) -> None:
    sentences = said(depths(tmp_path / "deep", 5.5, 3))
    assert sentences[0] == "No row is shown to be better than full on valid/loss."
    assert "Worse: shallow." in sentences


def test_what_keeps_rows_from_a_verdict_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "none", systems=["full", "pld"], reference="full")
    full, pld = experiment(FULL), experiment(PLD)
    folder.run(folder.ask(full, "full"), full, 5.0)
    folder.run(folder.ask(pld, "pld", seeds=(0, 1)), pld, 5.0)
    assert said(folder.complete()) == ["No verdict on valid/loss yet (pld: 1 of 2 finished)."]


def test_a_decision_that_was_changed_after_the_first_run_is_post_hoc(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "late", systems=["full", "pld"], reference="full", decide={"margin": "0.01 nats"})
    definition = view(tmp_path / "late").study.definition.tree
    folder.study.write(StudyOpened(definition=definition | {"decide": {"margin": "0.02 nats"}}))
    for drops, name in ((FULL, "full"), (PLD, "pld")):
        what = experiment(drops)
        folder.run(folder.ask(what, name), what, 5.0)
    assert not any("Post hoc" in sentence for sentence in said(tmp_path / "late"))  # before any run it may change
    folder.study.write(StudyOpened(definition=definition | {"decide": {"margin": "0.03 nats"}}))
    assert said(folder.complete())[-1] == "Post hoc: `decide` was changed after the first run."


def test_without_a_reference_there_is_no_answer(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "search", search={"trials": 1})
    what = experiment(PLD)
    folder.run(folder.ask(what, None), what, 5.0)
    assert said(folder.complete()) == []
