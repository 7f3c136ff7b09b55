"""The rate of masking in stages: what it means, what it costs, and every way it is refused, at its place."""

from __future__ import annotations

from typing import Any

import pytest

from pld_search.costs.budget import steps_within
from pld_search.costs.flops import run_flops, step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.run_cost import expected_flops
from pld_search.errors import ConfigError
from pld_search.frozen import canonical_json
from pld_search.specs.experiment import Data, Experiment, Masking
from pld_search.specs.masking_rates import RatesAt, rates_at
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load
from tests.costs.examples import BATCH, DATA, MODEL

STAGES = {"0 %": "30 %", "80 %": "15 %"}


def masking(text: str) -> Masking:
    return check(Masking, load(text, "m.yaml"))


def data(rate: Any = STAGES, **more: Any) -> Data:
    return Data.model_validate({**DATA.model_dump(), "masking": {"rate": rate}, **more})


def experiment(rate: Any, steps: int = 10) -> Experiment:
    fields = {"model": MODEL, "batch": BATCH, "optimizer": {"lr": 1e-3}, "precision": "fp32"}
    return Experiment.model_validate({**fields, "data": data(rate), "schedule": load_schedule("full"), "steps": steps})


def test_stages_are_steps_of_a_run_and_the_last_rate_is_that_of_validation() -> None:
    found = data()
    assert found.rates_at(10) == RatesAt((0, 8), (0.3, 0.15))
    assert [found.rates_at(10).at(step) for step in (0, 7, 8, 10)] == [0.3, 0.3, 0.15, 0.15]
    assert found.predictions(100) == 15
    assert found.with_rate(0.3).predictions(100) == 30
    assert rates_at(0.2, 10) == RatesAt((0,), (0.2,))


def test_one_rate_is_written_as_ever() -> None:
    assert canonical_json(masking("rate: 15 %\n")) == '{"rate":0.15}'
    staged = masking("rate: {0 %: 30 %, 80 %: 15 %}\n")
    assert canonical_json(staged) == '{"rate":[["0 %",0.3],["80 %",0.15]]}'
    assert (
        Masking.model_validate_json(staged.model_dump_json()) == staged == Masking.model_validate(staged.model_dump())
    )
    again = experiment(STAGES)
    assert Experiment.model_validate(again.model_dump(mode="json")) == again
    assert len({again.digest, experiment(0.15).digest, experiment({"0 %": 0.3, "70 %": 0.15}).digest}) == 3


def test_each_step_costs_what_its_own_rate_costs() -> None:
    found = run_flops(MODEL, data(), BATCH, 10)
    high, low = (step_flops(MODEL, data(rate), BATCH) for rate in (0.3, 0.15))
    assert (found.begins, found.each) == ((0, 8), (high, low))
    assert high.head > low.head and high.block == low.block
    both = run_flops(MODEL, data(STAGES, length={"0 %": 16, "50 %": 32}), BATCH, 10)
    assert both.begins == (0, 5, 8)
    full = load_schedule("full")
    spent = expected_flops(full, found, MODEL.layers, 10)
    assert steps_within(spent, lambda _: full, MODEL, data(), BATCH) == 10
    assert steps_within(spent - 1, lambda _: full, MODEL, data(), BATCH) == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "rate: {5 %: 30 %}",
            "rate.5 %: the beginning of the run is not covered: the first place is `0 %`",
        ),
        ("rate: {0 %: 30 %, 0 %: 15 %}", "rate.0 %"),
        ("rate: {0 %: 130 %}", "rate.0 %: a share lies in [0, 1] or between 0 % and 100 %; given: 130 %"),
        ("rate: {0 %: 30 %, 100 %: 15 %}", "rate.100 %: begins at the end of the run"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        masking(text + "\n")
    assert any(said in str(problem) for problem in caught.value.problems), caught.value.problems


def test_a_stage_that_a_run_has_no_step_for() -> None:
    with pytest.raises(ValueError, match="20 steps lies outside a run of 10 steps"):
        experiment({"0 %": 0.3, "20 steps": 0.15})
