from __future__ import annotations

from decimal import Decimal

import pytest

from pld_search.costs.flops import step_flops
from pld_search.costs.rung_steps import rung_steps, spent_between
from pld_search.errors import ConfigError
from pld_search.frozen import digest_of
from pld_search.schedules.schedule import Schedule
from pld_search.spaces.early_stopping import Asha, Median, Promotion
from pld_search.spaces.resolve import forecast_of
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer


def experiment(start: float, end: float, steps: int = 900) -> Experiment:
    schedule = {
        "temporal": {"kind": "linear", "start": start, "end": end},
        "depth": {"kind": "uniform"},
        "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    }
    return Experiment(
        model=Model(layers=12, hidden=256, heads=4, intermediate=1024, vocabulary=128),
        data=Data(corpus=digest_of("corpus"), tokenizer=digest_of("tokenizer"), length=128),
        batch=Batch(sequences=8),
        optimizer=Optimizer(lr=1e-3, shape="wsd"),
        precision="fp32",
        schedule=Schedule.model_validate({"name": "s", **schedule, "rescale": "none", "skipped": "freeze"}),
        steps=steps,
    )


def brute(what: Experiment) -> list[float]:
    """FLOPs of each step, one by one."""
    flops, schedule = step_flops(what.model, what.data, what.batch), what.schedule
    return [
        flops.fixed + flops.block * float(schedule.keep_probabilities(t, what.steps, what.model.layers).sum())
        for t in range(what.steps)
    ]


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.3), (0.3, 1.0), (0.5, 0.5)])
def test_a_rung_is_the_first_step_that_reaches_its_share(start: float, end: float) -> None:
    what = experiment(start, end)
    each = brute(what)
    shares = [Decimal("0.1"), Decimal("0.3")]
    found = rung_steps(what, shares)
    for step, share in zip(found, shares, strict=True):
        assert sum(each[:step]) >= float(share) * sum(each) * (1 - 1e-9)
        assert sum(each[: step - 1]) < float(share) * sum(each) * (1 + 1e-9)


def test_a_falling_schedule_gets_there_earlier_than_a_rising_one() -> None:
    falling, rising = (rung_steps(experiment(*ends), [Decimal("0.1")])[0] for ends in ((1.0, 0.3), (0.3, 1.0)))
    assert falling < 90 < rising


def test_parts_of_a_run_add_up_to_its_forecast() -> None:
    what = experiment(1.0, 0.3)
    parts = [spent_between(what, 0, 13), spent_between(what, 13, 14), spent_between(what, 14, 900)]
    assert sum(parts) == pytest.approx(forecast_of(what).total_flops, rel=1e-12)
    assert parts[1] == pytest.approx(brute(what)[13], rel=1e-9)
    assert spent_between(what, 7, 7) == 0


def test_too_few_steps_for_the_rungs_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few steps"):
        rung_steps(experiment(1.0, 1.0, steps=3), [Decimal("0.1"), Decimal("0.3")])


def test_rungs_are_exact_shares() -> None:
    assert Promotion(kind="promotion").shares == (Decimal("0.3"),)
    assert Promotion(kind="promotion", min=0.1, eta=3).shares == (Decimal("0.1"), Decimal("0.3"))
    assert Asha(kind="asha", min="6.25 %", eta=2).shares == (
        Decimal("0.0625"),
        Decimal("0.125"),
        Decimal("0.25"),
        Decimal("0.5"),
    )  # type: ignore[arg-type]
    assert [float(share) for share in Median(kind="median", every=0.3).shares] == [0.3, 0.6, 0.9]
