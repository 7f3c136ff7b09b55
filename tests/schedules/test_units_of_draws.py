"""Draws per sublayer and per sequence: independent halves, equal rows in every stratum, and the gates that
carry them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pld_search.errors import ConfigError
from pld_search.schedules.gates import Gates, RowGates, SublayerGates
from pld_search.schedules.plan import Plan
from tests.schedules.examples import constant, schedule

SUBLAYER = {"kind": "bernoulli", "per": "group", "unit": "sublayer"}
SEQUENCE = {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 8}
LINEAR = {"kind": "linear", "index": "l/L"}


@pytest.mark.parametrize("kind", ["bernoulli", "exact"])
def test_sublayers_are_drawn_apart(kind: str) -> None:
    made, total = constant(0.5, LINEAR, draw={**SUBLAYER, "kind": kind}), 20_000
    kept = Plan(made, 3, total, 12).kept_sublayers(np.arange(total))[:, 0]
    assert kept.shape == (total, 12, 2)
    p = made.keep_probabilities(0, total, 12)
    error = np.sqrt(p * (1 - p) / total)
    for half in range(2):
        assert (np.abs(kept[:, :, half].mean(axis=0) - p) <= 4 * error).all()
    together = (kept[:, :, 0] & kept[:, :, 1]).mean(axis=0)
    assert (np.abs(together - p * p) <= 4 * np.sqrt(p * p * (1 - p * p) / total)).all()


def test_attention_of_a_sublayer_draw_is_the_layer_draw() -> None:
    layers, halves = Plan(schedule(), 3, 100, 12, 2), Plan(schedule(draw=SUBLAYER), 3, 100, 12, 2)
    assert (layers.kept(np.arange(100)) == halves.kept_sublayers(np.arange(100))[..., 0]).all()
    assert (layers.kept_sublayers(np.arange(100))[..., 1] == layers.kept(np.arange(100))).all()


def test_exact_halves_count_each_for_themselves() -> None:
    made, total = schedule(draw={**SUBLAYER, "kind": "exact"}), 3000
    kept = Plan(made, 3, total, 12).kept_sublayers(np.arange(total))[:, 0].sum(axis=1)
    wanted = np.cumsum(made.keep_probabilities(np.arange(total), total, 12).sum(axis=-1))
    assert (np.abs(np.cumsum(kept, axis=0) - wanted[:, None]) < 1 + 1e-6).all()
    assert (kept[:, 0] != kept[:, 1]).any()


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
@pytest.mark.parametrize("rescale", ["none", "sublayer"])
def test_gates_hold_what_the_plan_keeps(unit: str, rescale: str) -> None:
    made = schedule(draw={**SUBLAYER, "unit": unit}, rescale=rescale)
    plan = Plan(made, 3, 200, 6, 2)
    kept = plan.kept_sublayers(np.arange(200))
    for step in (0, 7, 40, 199):
        p = made.keep_probabilities(step, 200, 6)
        for group in range(2):
            gates = plan.at(step, group)
            assert isinstance(gates, SublayerGates if unit == "sublayer" else Gates)
            halves = (gates.attention, gates.feed_forward) if isinstance(gates, SublayerGates) else (gates, gates)
            for half, part in enumerate(halves):
                assert isinstance(part, Gates)
                assert part.keep == tuple(kept[step, group, :, half].tolist())
                assert part.where == rescale
                assert part.scale == tuple(
                    1 / q if keep and rescale != "none" else 1.0 for q, keep in zip(p.tolist(), part.keep, strict=True)
                )


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_each_layer_keeps_equally_many_rows_in_every_stratum(unit: str) -> None:
    made = schedule(draw={**SEQUENCE, "unit": unit})
    plan = Plan(made, 1, 500, 6, 2, sequences=32)
    rows = plan.kept_rows(np.arange(500))
    assert rows.shape == (500, 2, 6, 2, 32)
    count = rows.reshape(500, 2, 6, 2, 4, 8).sum(axis=-1)
    assert (count == count[..., :1]).all()
    assert count.min() >= 1
    assert (np.abs(count[..., 0] - 8 * made.keep_probabilities(np.arange(500), 500, 6)[:, None, :, None]) < 1).all()
    assert (rows[..., 0, :] == rows[..., 1, :]).all() == (unit == "layer")


def test_every_row_is_kept_with_p_and_rows_of_a_stratum_are_drawn_evenly() -> None:
    made, total = constant(0.3, draw=SEQUENCE), 8000
    rows = Plan(made, 1, total, 2, 1, sequences=16).kept_rows(np.arange(total))[:, 0, :, 0]
    assert (np.abs(rows.mean(axis=0) - 0.3) <= 4 * np.sqrt(0.3 * 0.7 / total)).all()
    first = rows[:, 0, :8]  # 2.4 of 8: two or three, so two rows meet with E[m (m - 1)] / (8 * 7)
    together = (first[:, 0] & first[:, 5]).mean()
    expected = (0.6 * 2 + 0.4 * 6) / 56
    assert abs(together - expected) <= 4 * np.sqrt(expected * (1 - expected) / total)
    across = (rows[:, 0, 0] & rows[:, 0, 9]).mean()  # another stratum: apart but for the common count
    expected = (0.6 * 4 + 0.4 * 9) / 64
    assert abs(across - expected) <= 4 * np.sqrt(expected * (1 - expected) / total)


def test_row_gates_name_the_rows() -> None:
    made = schedule(draw=SEQUENCE)
    plan = Plan(made, 1, 100, 6, 2, sequences=16)
    rows = plan.kept_rows([60])[0, 1, :, 0]
    gates = plan.at(60, 1)
    assert isinstance(gates, RowGates)
    assert gates.rows == tuple(tuple(np.flatnonzero(row).tolist()) for row in rows)
    assert gates.scale == tuple(1 / q for q in made.keep_probabilities(60, 100, 6).tolist())
    assert gates == Plan(made, 1, 100, 6, 2, sequences=16).at(60, 1)
    assert plan.at(0, 0).rows == (tuple(range(16)),) * 6  # type: ignore[union-attr]  # theta is 1 at the first step
    halves = Plan(schedule(draw={**SEQUENCE, "unit": "sublayer"}), 1, 100, 6, 2, sequences=16).at(60, 1)
    assert isinstance(halves, SublayerGates)
    assert halves.attention == gates
    assert halves.feed_forward != gates


@pytest.mark.parametrize(
    ("changes", "sequences", "why"),
    [
        ({"draw": {**SEQUENCE, "strata": 12}}, 32, "a group of 32 sequences is not a multiple of 12"),
        ({"temporal": {"kind": "linear", "start": 1.0, "end": 0.1}, "rescale": "none"}, 32, "at least 1/8 is needed"),
        ({"temporal": {"kind": "stages", "stages": {"0 %": 1.0, "900 steps": 0.5}}}, 32, "outside a run of 500 steps"),
    ],
)
def test_what_rows_do_not_fit(changes: dict[str, Any], sequences: int, why: str) -> None:
    made = schedule(**{"draw": SEQUENCE, **changes})
    with pytest.raises(ConfigError, match=why):
        Plan(made, 0, 500, 6, 1, sequences)


def test_a_floor_that_is_not_reached_does_not_count() -> None:
    slow = schedule(
        temporal={"kind": "exponential", "start": 1.0, "end": 0.0, "rate": "1 / run"}, draw=SEQUENCE, rescale="none"
    )
    assert Plan(slow, 0, 500, 6, 1, 16).kept_rows([499]).any(axis=-1).all()


def test_one_form_is_not_read_as_another() -> None:
    layers, halves, rows = (
        Plan(schedule(), 0, 10, 4),
        Plan(schedule(draw=SUBLAYER), 0, 10, 4),
        Plan(schedule(draw=SEQUENCE), 0, 10, 4, 1, 8),
    )
    for plan in (halves, rows):
        with pytest.raises(ValueError, match="not one of whole layers"):
            plan.kept([0])
        with pytest.raises(ValueError, match="not one of whole layers"):
            plan.gates(0, 0)
    with pytest.raises(ValueError, match="read `kept_rows`"):
        rows.kept_sublayers([0])
    with pytest.raises(ValueError, match="read `kept_sublayers`"):
        layers.kept_rows([0])
    with pytest.raises(ValueError, match="needs the number of sequences"):
        Plan(schedule(draw=SEQUENCE), 0, 10, 4)


def test_digests_tell_all_forms_apart() -> None:
    draws = [
        schedule().draw.model_dump(),
        SUBLAYER,
        SEQUENCE,
        {**SEQUENCE, "strata": 4},
        {**SEQUENCE, "unit": "sublayer"},
    ]
    draws += [{**SUBLAYER, "kind": "exact"}, {**SUBLAYER, "kind": "exact", "unit": "layer"}]
    digests = {Plan(schedule(draw=draw), 0, 50, 4, 1, 8).digest() for draw in draws}
    assert len(digests) == len(draws) == 7
    assert Plan(schedule(draw=SEQUENCE), 0, 50, 4, 1, 16).digest() not in digests
