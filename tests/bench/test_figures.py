from __future__ import annotations

import pytest

from pld_search.bench.candidates import Candidate
from pld_search.bench.figures import figure, row
from pld_search.bench.timed_job import Burst, Peak


def candidate(name: str, seconds: list[float], flops: float, inside: float | None = None) -> Candidate:
    one = Candidate(name, job=None)  # type: ignore[arg-type]  # never started
    one.bursts = [
        Burst(steps=2, seconds=second, inside=None if inside is None else inside * second, flops=flops, losses=())
        for second in seconds
    ]
    one.peak = Peak(bytes=5, micro_batch=4, forecast=3)
    return one


def test_a_figure_is_a_median_with_its_quartiles() -> None:
    assert figure([4.0, 1.0, 2.0, 3.0, 10.0]).model_dump() == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert figure([7.0]).model_dump() == {"median": 7.0, "low": 7.0, "high": 7.0}


def test_ratios_are_of_bursts_side_by_side() -> None:
    full, pld = (
        candidate("full", [1.0, 10.0, 2.0], flops=200.0),
        candidate("pld", [0.8, 8.0, 1.6], flops=150.0, inside=0.75),
    )
    found = row(pld, full, warm_up=3.0, tokens=100)
    assert found.ratio is not None
    assert found.ratio.median == found.ratio.low == found.ratio.high == pytest.approx(0.8)
    assert found.flops_ratio == pytest.approx(0.75)
    assert found.excess is not None and found.excess.median == pytest.approx(0.8 / 0.75)
    assert found.bursts == tuple(pld.bursts)
    assert found.outside == pytest.approx(0.25)
    assert found.step_ms.median == pytest.approx(800.0)
    assert found.tokens_per_second.median == pytest.approx(125.0)
    assert found.flops_per_second == pytest.approx(150.0 / 1.6)


def test_a_baseline_has_no_ratio() -> None:
    found = row(candidate("full", [1.0], flops=1.0), None, warm_up=0.0, tokens=1)
    assert (found.ratio, found.flops_ratio, found.excess, found.outside) == (None,) * 4


def test_the_excess_is_that_of_each_turn_s_own_plans() -> None:
    """Two turns that keep 0.5 and 1.0 of the FLOPs, each a tenth slower than its FLOPs: a tenth, whatever the median of
    the times is.
    """
    full, pld = candidate("full", [1.0, 2.0], flops=200.0), candidate("pld", [0.55, 2.2], flops=200.0)
    pld.bursts[0] = pld.bursts[0].model_copy(update={"flops": 100.0})
    found = row(pld, full, warm_up=0.0, tokens=1)
    assert found.excess is not None and found.excess.low == found.excess.high == pytest.approx(1.1)
