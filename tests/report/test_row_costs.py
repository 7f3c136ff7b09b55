"""What rows cost: epochs, speeds that FLOPs cannot explain, and where a curve reaches the reference's loss."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pld_search.costs.parameters import parameters_of
from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import view
from pld_search.report import headline
from pld_search.report.comparison import comparison
from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_costs import RowCosts, epoch_warning, row_costs
from pld_search.report.study_summary import summary
from pld_search.report.time_to_loss import time_to_loss
from tests.report.studies import FULL, PLD, Folder, equal_steps, experiment


def curve(losses: list[float], tflop: float, seconds: float) -> RunRecord:
    steps = range(1, len(losses) + 1)
    series = {
        "valid/loss": list(zip(steps, losses, strict=True)),
        "progress/tflop": [(step, tflop * step / len(losses)) for step in steps],
    }
    timing = {"progress/seconds": [(step, seconds * step / len(losses)) for step in steps]}
    return RunRecord(
        state="finished", series=series, timing=timing, final={"progress/tflop": tflop, "progress/seconds": seconds}
    )


def test_where_a_curve_reaches_the_reference() -> None:
    reference = {0: curve([6.0, 5.0], 10.0, 100.0), 1: curve([6.0, 5.0], 10.0, 100.0)}
    found = time_to_loss({0: curve([6.0, 4.0], 8.0, 40.0), 1: curve([5.5, 4.5], 8.0, 40.0)}, reference)
    assert found is not None and found.flops is not None and found.seconds is not None
    assert (found.reached, found.seeds) == (2, 2)
    assert found.flops.value == pytest.approx(0.6)  # both half way between 4 and 8 TFLOP
    assert found.seconds.value == pytest.approx(0.3)
    assert found.flops.interval == pytest.approx((0.6, 0.6))
    some = time_to_loss({0: curve([6.0, 4.0], 8.0, 40.0), 1: curve([5.9, 5.1], 8.0, 40.0)}, reference)
    assert some is not None and some.flops is not None
    assert (some.reached, some.flops.interval) == (1, None)
    never = time_to_loss({0: curve([5.9, 5.1], 8.0, 40.0)}, reference)
    assert never is not None and (never.reached, never.flops) == (0, None)
    assert time_to_loss({7: curve([5.0], 8.0, 40.0)}, reference) is None


def costs(label: str, epochs: float, speed: float = 1.0, allowed: float = 1.0) -> RowCosts:
    return RowCosts(label, None, epochs, None, None, None, None, (None, speed, None), allowed, None)


def test_warnings_and_marks() -> None:
    assert epoch_warning([costs("full", 0.6), costs("pld", 0.9)]) == ""
    assert epoch_warning([costs("full", 1.2), costs("random", 1.21)]) == ""
    assert "pld 1.39 epochs, full 1.00" in epoch_warning([costs("full", 1.0), costs("pld", 1.39)])
    assert costs("pld", 1, 1.64, 1.39).too_fast and not costs("pld", 1, 1.45, 1.39).too_fast


def test_the_frontier_and_the_costs_of_a_study(tmp_path: Path) -> None:
    folder = Folder(
        tmp_path / "s", systems=["full", "pld", "shallow"], reference="full", decide={"margin": "0.02 nats"}
    )
    rows = {
        "full": experiment(FULL),
        "pld": equal_steps(experiment(PLD)),
        "shallow": equal_steps(experiment(FULL, layers=4)),
    }
    for name, what in rows.items():
        loss = {"full": 5.0, "pld": 5.01, "shallow": 4.8}[name]
        trial = folder.ask(what, name, seeds=(0, 1, 2, 3))
        for seed, noise in enumerate((0.0, 0.002, -0.001, 0.001)):
            own = noise if name == "full" else -noise * (0.5 if name == "pld" else 0.7)
            folder.run(trial, what, loss + own, seed, progress__tokens=1.2e6 * what.steps / 400)
    seen = view(folder.complete())
    table, about = comparison(seen), summary(seen)
    reference = table[0]
    assert reference.frontier is not None
    assert {(point.label, point.layers, point.drops) for point in reference.frontier.points} == {
        ("full", 6, False),
        ("shallow", 4, False),
        ("pld", 6, True),
    }
    found = reference.frontier.found
    assert (found.best, found.other, found.verdict) == ("pld", "shallow", "worse")
    said = " ".join(headline.lines(table, about))
    assert (
        "Frontier: the best dropped model (pld, 6 layers) is worse than the best full one (shallow, 4 layers)" in said
    )
    full, pld, shallow = row_costs(table, about)
    assert full.epochs == pytest.approx(1.2) and shallow.epochs is not None and shallow.epochs > 1.5
    assert pld.parameters == parameters_of(rows["pld"].model) and pld.to_loss is not None
    assert full.to_loss is None and math.isclose(full.seconds_ratio or 0, 1.0)
    text = page(PageFacts.of(seen))
    assert "The frontier over depths" in text and "What each row cost" in text
    assert "more than once" in text
