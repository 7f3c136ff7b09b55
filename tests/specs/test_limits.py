"""Huge numbers: each has one limit, which is looked at before anything is computed."""

from __future__ import annotations

import pytest

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.spaces.load_study import load_study
from pld_search.specs import limits
from pld_search.specs.machine import load_machine

HUGE = (9223372036854775808, 10**29)


@pytest.mark.parametrize("huge", HUGE)
@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("model.layers", limits.LAYERS),
        ("model.hidden", limits.WIDTH),
        ("data.length", limits.LENGTH),
        ("batch.sequences", limits.COUNT),
        ("seed", limits.SEED),
        ("seeds", limits.SEEDS),
        ("budget.steps", limits.STEPS),
        ("budget.tokens", limits.TOKENS),
        ("search.trials", limits.TRIALS),
        ("systems.pld.seeds", limits.SEEDS),
        ("confirm.top", limits.TRIALS),
    ],
)
def test_a_study_has_limits(key: str, most: int, huge: int) -> None:
    with pytest.raises(
        ConfigError, match=f"--set:1:{len(key) + 2}: .*out of range; allowed: <= {most:,}; given: {huge}"
    ):
        load_study("demo", [f"{key}={huge}"])


@pytest.mark.parametrize("key", ["slots", "threads", "retries", "checkpoint_every", "stall_minutes", "timeout"])
def test_a_machine_has_limits(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: out of range; allowed: <= "):
        load_machine(None, [f"{key}={HUGE[0]}"])


def test_a_schedule_is_computed_for_runs_within_the_limits_only() -> None:
    with pytest.raises(
        ConfigError, match="more layers than a run can have; allowed: at most 1,000; given: 100,000,000"
    ):
        load_schedule("pld", layers=100_000_000, steps=10)
    with pytest.raises(ConfigError, match="more steps x layers than a run can have"):
        load_schedule("pld", layers=500, steps=1_000_000)


def test_tokens_and_flops_of_more_steps_than_a_run_can_have_are_refused() -> None:
    from pld_search.spaces.feasibility import probe
    from pld_search.specs.build_experiment import stand_in
    from pld_search.specs.template import ExperimentTemplate
    from pld_search.specs.validate import check

    for budget in ("{tokens: 900000000000000}", "{flops: 1e29}"):
        study = load_study(
            "demo",
            [f"budget={budget}", "schedule=pld", "search.trials=1", "optimizer.lr={log: [1e-4, 1e-3]}", "systems={}"],
        )
        template = check(ExperimentTemplate, {**study.experiment, "optimizer": {"lr": 1e-3}})
        (bad, *_) = probe(study, stand_in(template), points=1).unbuildable
        assert "a budget of more steps than a run can have" in str(bad.problems[0])


def test_the_time_of_a_probe_is_bounded_and_says_so() -> None:
    from pld_search.cli.studies import assumed
    from pld_search.spaces.feasibility import probe

    study = load_study("demo")
    seen = probe(study, assumed(study), seconds=0.0)
    assert (seen.tried, seen.left_out) == (5, True)  # one of each system and one of the search
