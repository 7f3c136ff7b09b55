from __future__ import annotations

import math

import pytest

from pld_search.errors import StudyError
from pld_search.records.events import RunStarted
from pld_search.records.run_record import RunRecord
from pld_search.search.configuration_value import DIVERGED, value_of, verdict
from pld_search.spaces.constraints import parse
from pld_search.spaces.objectives import Objective

LOSS, SAVED = Objective(minimize="valid/loss"), Objective(maximize="saved/flops")


def finished(**final: float) -> RunRecord:
    return RunRecord(state="finished", final={name.replace("_", "/", 1): value for name, value in final.items()})


def test_values_are_means_over_seeds() -> None:
    found = verdict(
        [LOSS, SAVED], [], [finished(valid_loss=5, saved_flops=0.2), finished(valid_loss=6, saved_flops=0.3)], 100
    )
    assert found.values == (5.5, 0.25)
    assert found.constraints == {DIVERGED: 0}


def test_a_diverged_seed_counts_with_the_loss_of_a_uniform_guess() -> None:
    limits = [parse("saved/flops >= 10 %"), parse("divergence/diverged == 0"), parse("divergence/diverged < 0.5")]
    found = verdict(
        [LOSS, SAVED],
        limits,
        [finished(valid_loss=5, saved_flops=0.2), RunRecord(state="diverged", final={"valid/loss": 4.0})],
        100,
    )
    assert found.values == (pytest.approx((5 + math.log(100)) / 2), 0.1)
    assert found.constraints[DIVERGED] == 0.5
    assert all(value > 0 for value in found.constraints.values())
    assert len(found.constraints) == 4


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (Objective(minimize="valid/loss"), math.log(1000)),
        (Objective(maximize="glue/average"), 0.0),
        (Objective(maximize="glue/cola/matthews_correlation"), -1.0),
        (Objective(maximize="glue/stsb/pearson"), -1.0),
        (Objective(maximize="saved/flops"), 0.0),
        (Objective(maximize="speed/tokens_per_second"), 0.0),
        (Objective(minimize="progress/seconds"), 1e9),
        (Objective(maximize="drop/theta"), -1e9),
    ],
)
def test_the_worst_value_is_finite(goal: Objective, value: float) -> None:
    assert value_of(goal, RunRecord(state="diverged"), 1000) == value


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (Objective(minimize="valid/loss"), math.log(1000) + math.log(2)),
        (Objective(minimize="valid/mlm_loss"), math.log(1000)),
        (Objective(minimize="valid/nsp_loss"), math.log(2)),
        (Objective(maximize="valid/nsp_accuracy"), 0.0),
    ],
)
def test_a_uniform_guess_is_that_of_what_the_run_learns(goal: Objective, value: float) -> None:
    run = RunRecord(state="diverged", started=RunStarted(0, experiment={"pretraining": {"kind": "mlm+nsp"}}))
    assert value_of(goal, run, 1000) == pytest.approx(value)


def test_a_uniform_guess_of_an_objective_with_settings() -> None:
    written = {"kind": "electra", "generator": {"width": 0.25, "depth": 1.0}, "weight": 10.0}
    run = RunRecord(state="diverged", started=RunStarted(0, experiment={"pretraining": written}))
    assert value_of(LOSS, run, 1000) == pytest.approx(math.log(1000) + 10 * math.log(2))


def test_constraints_by_their_text() -> None:
    limits = [parse("saved/flops >= 10 %"), parse("speed/step_ms <= 20")]
    found = verdict([LOSS], limits, [finished(valid_loss=5, saved_flops=0.2, speed_step_ms=1)], 100)
    assert limits[0].key == "saved/flops >= 0.1"
    assert found.constraints["saved/flops >= 0.1"] == pytest.approx(-0.1)


def test_what_was_not_measured_is_an_error() -> None:
    with pytest.raises(StudyError, match="measured no valid/loss"):
        verdict([LOSS], [], [finished(train_loss=1)], 100)
    with pytest.raises(StudyError, match="measured no saved/flops"):
        verdict([LOSS], [parse("saved/flops >= 0.1")], [finished(valid_loss=1)], 100)
