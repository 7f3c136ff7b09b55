"""Huge numbers: each has one limit, which is looked at before anything is computed."""

from __future__ import annotations

import pytest

from pld_search.app.study_data import assumed
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.spaces.feasibility import probe
from pld_search.spaces.load_study import load_study
from pld_search.specs import limits
from pld_search.specs.machine import load_machine

HUGE = 9223372036854775808
STUDY = {
    "model.layers": limits.LAYERS,
    "model.hidden": limits.WIDTH,
    "data.length": limits.LENGTH,
    "batch.sequences": limits.COUNT,
    "seed": limits.SEED,
    "seeds": limits.SEEDS,
    "budget.steps": limits.STEPS,
    "search.trials": limits.TRIALS,
    "systems.pld.seeds": limits.SEEDS,
    "confirm.top": limits.TRIALS,
}
MACHINE = ("slots", "threads", "retries", "checkpoint_every", "stall_minutes", "timeout")


def test_a_study_has_limits() -> None:
    with pytest.raises(ConfigError) as caught:
        load_study("demo", [f"{key}={HUGE}" for key in STUDY])
    for (key, most), number in zip(STUDY.items(), range(1, len(STUDY) + 1), strict=True):
        said = f"{key}: out of range; allowed: <= {most:,}; given: {HUGE}"
        assert any(f"--set:{number}:" in line and line.endswith(said) for line in str(caught.value).splitlines()), said


def test_a_machine_has_limits() -> None:
    with pytest.raises(ConfigError) as caught:
        load_machine(None, [f"{key}={HUGE}" for key in MACHINE])
    assert len(caught.value.problems) == len(MACHINE)
    assert all("out of range; allowed: <= " in str(problem) for problem in caught.value.problems)


def test_a_schedule_is_computed_for_runs_within_the_limits_only() -> None:
    with pytest.raises(
        ConfigError, match="more layers than a run can have; allowed: at most 1,000; given: 100,000,000"
    ):
        load_schedule("pld", layers=100_000_000, steps=10)
    with pytest.raises(ConfigError, match="more steps x layers than a run can have"):
        load_schedule("pld", layers=500, steps=1_000_000)


@pytest.mark.parametrize("budget", ["{tokens: 900000000000000}", "{flops: 1e29}"])
def test_an_amount_of_more_steps_than_a_run_can_have_is_refused(budget: str) -> None:
    study = load_study("demo", [f"budget={budget}"])
    bad = probe(study, assumed(study), points=1).unbuildable
    assert "a budget of more steps than a run can have" in str(bad[0].problems[0])


def test_the_time_of_a_probe_is_bounded_and_says_so() -> None:
    study = load_study("demo")
    seen = probe(study, assumed(study), seconds=0.0)
    assert (seen.tried, seen.left_out) == (5, True)  # one of each system and one of the search
