"""Plans of every library schedule against its forecast, over 20,000 steps at 12 layers: rates, variance, pairs, what is
touched.

The seed is fixed, so a test either always passes or never; the bounds are four standard errors. (Of about 1,300
comparisons one lies outside with one seed in twelve: pairs of seed 0 do, by 4.1; over twelve seeds the deviations have
the spread expected.)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.library import names
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule

STEPS, LAYERS, SEED = 20_000, 12, 1
AT = np.arange(STEPS)


@cache
def _made(name: str) -> tuple[Schedule, NDArray[np.float64], NDArray[np.bool_]]:
    """(schedule, p (STEPS, LAYERS), kept (STEPS, LAYERS)); per sequence: what the first row of a stratum passes
    through.
    """
    schedule = load_schedule(name, layers=LAYERS, steps=STEPS)
    p = schedule.keep_probabilities(AT, STEPS, LAYERS)
    if schedule.draw.strata is None:
        return schedule, p, Plan(schedule, SEED, STEPS, LAYERS).kept(AT)[:, 0]
    plan = Plan(schedule, SEED, STEPS, LAYERS, 1, schedule.draw.strata)
    return schedule, p, np.concatenate([plan.kept_rows(part)[:, 0, :, 0, 0] for part in np.array_split(AT, 20)])


def _within(found: NDArray[np.float64], expected: NDArray[np.float64], variance: NDArray[np.float64]) -> None:
    """found and expected are sums over the steps; variance is that of the sum."""
    assert (np.abs(found - expected) <= 4 * np.sqrt(np.maximum(variance, 0.0)) + 1e-6).all()


@pytest.mark.parametrize("name", names())
class TestEverySchedule:
    def test_keep_rate_of_every_layer(self, name: str) -> None:
        schedule, p, kept = _made(name)
        forecast = expect(schedule, STEPS, LAYERS)
        assert np.array(forecast.keep_probabilities_mean) * STEPS == pytest.approx(p.sum(axis=0), rel=1e-12)
        _within(kept.sum(axis=0), p.sum(axis=0), (p * (1 - p)).sum(axis=0))

    def test_variance_of_the_number_kept(self, name: str) -> None:
        """Of independent layers the squared deviation has the variance fourth cumulant + 2 variance^2; of the others
        none.
        """
        schedule, p, kept = _made(name)
        q = p * (1 - p) if schedule.draw.kind == "bernoulli" else np.zeros_like(p)
        variance, fourth = q.sum(axis=-1), (q * (1 - 6 * q)).sum(axis=-1)
        squares = (kept.sum(axis=-1) - p.sum(axis=-1)) ** 2
        _within(squares.sum(), variance.sum(), (fourth + 2 * variance**2).sum())
        if schedule.draw.per == "group":
            assert expect(schedule, STEPS, LAYERS).layers_std == pytest.approx(np.sqrt(variance).mean(), abs=1e-4)

    def test_pair_frequencies(self, name: str) -> None:
        """p_i p_j of independent layers; of RaPTr's k of ten layers at random k (k - 1) / 90, and p of a layer beside
        an open one.
        """
        schedule, p, kept = _made(name)
        together = p[:, :, None] * p[:, None, :]
        if schedule.draw.kind == "exact":
            inner = np.arange(1, LAYERS - 1)
            k = np.round(10 * p[:, 1])
            together[np.ix_(AT, inner, inner)] = (k * (k - 1) / 90)[:, None, None]
        off = ~np.eye(LAYERS, dtype=bool)
        found = kept.T.astype(np.float64) @ kept
        _within(found[off], together.sum(axis=0)[off], (together * (1 - together)).sum(axis=0)[off])

    def test_layers_touched_by_four_groups(self, name: str) -> None:
        schedule, p, _ = _made(name)
        forecast = expect(schedule, STEPS, LAYERS, groups=4).touched_layers_mean
        if schedule.draw.per == "sequence":
            assert forecast == LAYERS
            return
        some = Plan(schedule, 1, STEPS, LAYERS, 4).kept(AT).any(axis=1)
        q = 1 - (1 - p) ** 4
        if schedule.draw.kind == "bernoulli":
            _within(some.sum(), np.array(forecast * STEPS), (q * (1 - q)).sum())
        else:  # layers of one plan exclude each other, which makes the sum vary less
            assert abs(some.sum() - forecast * STEPS) <= 4 * np.sqrt((q * (1 - q)).sum()) + 1e-6


def test_the_library_was_looked_at() -> None:
    assert len(names()) == 16
    assert {load_schedule(name, layers=LAYERS, steps=10).draw.kind for name in names()} == {
        "bernoulli",
        "exact",
        "lowest",
    }


@pytest.mark.parametrize("name", ["pld", "linear", "dd-only", "cosine", "layerdrop"])
def test_the_same_with_exact_draws(name: str) -> None:
    """Any schedule made exact: the same rates, no more than a coin of variance, and a forecast that says so."""
    schedule = load_schedule(name, sets=["draw.kind=exact", "draw.per=group", "draw.unit=layer"])
    p, kept = schedule.keep_probabilities(AT, STEPS, LAYERS), Plan(schedule, 0, STEPS, LAYERS).kept(AT)[:, 0]
    _within(kept.sum(axis=0), p.sum(axis=0), (p * (1 - p)).sum(axis=0))
    assert abs(kept.sum() - p.sum()) < 1
    assert expect(schedule, STEPS, LAYERS).layers_std <= 0.5
    part = p.sum(axis=-1) % 1
    assert expect(schedule, STEPS, LAYERS).layers_std == pytest.approx(np.sqrt(part * (1 - part)).mean(), abs=1e-9)


@pytest.mark.parametrize(("unit", "groups"), [("layer", 1), ("sublayer", 1), ("sublayer", 3)])
def test_variance_and_touched_of_other_units(unit: str, groups: int) -> None:
    sets = [f"draw.unit={unit}", "draw.kind=bernoulli", "draw.per=group"]
    schedule, total = load_schedule("dd-only", sets=sets), 20_000
    forecast = expect(schedule, total, 6, groups)
    kept = Plan(schedule, 0, total, 6, groups).kept_sublayers(np.arange(total))
    layers = kept.sum(axis=(-1, -2)) / 2
    assert layers.std() == pytest.approx(forecast.layers_std, rel=0.02)
    assert kept.any(axis=(1, 3)).sum(axis=-1).mean() == pytest.approx(forecast.touched_layers_mean, rel=0.01)


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_variance_of_rows(unit: str) -> None:
    sets = ["draw.kind=bernoulli", "draw.per=sequence", "draw.strata=6", f"draw.unit={unit}"]
    schedule, total = load_schedule("dd-only", sets=sets), 4000
    rows = Plan(schedule, 0, total, 6, 1, 12).kept_rows(np.arange(total))[:, 0]
    layers = rows.mean(axis=-1).mean(axis=-1).sum(axis=-1)
    assert layers.std() == pytest.approx(expect(schedule, total, 6).layers_std, rel=0.05)
