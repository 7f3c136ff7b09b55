from __future__ import annotations

import pytest

from pld_search.report.page_facts import PageFacts
from pld_search.report.sections.quality_against_cost import costs
from pld_search.report.step_cost import step_cost
from tests.report.studies import STEPS, equal_steps, experiment, schedule


def test_a_shallower_model_is_cheaper_a_step_than_the_reference(small: PageFacts) -> None:
    """At equal FLOPs a step costs the inverse of the steps that were bought: 400 of six layers, 593 of four."""
    rows = {row.label: row for row in small.table}
    assert step_cost(rows["full"], small.reference).flops == 1.0
    shallow = step_cost(rows["shallow"], small.reference)
    assert shallow.flops == pytest.approx(STEPS / rows["shallow"].steps, rel=0.005)  # type: ignore[operator]
    assert rows["shallow"].mean("saved/flops") == 0.0  # against its own architecture it saves nothing
    assert shallow.seconds == 1.0  # the study's shallow run had as many tokens a second
    pld = equal_steps(experiment(schedule("pld")))
    assert step_cost(rows["pld"], small.reference).flops == pytest.approx(STEPS / pld.steps, rel=0.005)
    assert step_cost(rows["pld"], None).flops is None


def test_costs_that_do_not_differ_get_no_axis(small: PageFacts) -> None:
    assert [label for label, _ in costs(small.table, small.reference)] == [
        "FLOPs of a step, % of full's",
        "seconds of a step, % of full's (measured)",
    ]
    reference = [row for row in small.table if row.is_reference]
    assert [label for label, _ in costs(reference, small.reference)] == ["executed TFLOP"]
