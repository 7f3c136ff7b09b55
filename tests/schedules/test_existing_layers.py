"""How many layers exist at a step, and plans that see only those: against plans of fixed depth, references and golden
values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.errors import ConfigError
from pld_search.schedules.existing_layers import LayersAt, layers_at
from pld_search.schedules.gates import Gates, RowGates, SublayerGates
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.plan import Plan
from tests.schedules.examples import CONVENTIONS, constant, schedule

TOTAL = 1000
GROWING = LayersAt((0, 300, 600), (3, 6, 12))
GOLDEN = {
    "bernoulli": "sha256:a9ea25c7e4b1d4a3142484454801b6abfd9dea7cecdec7db3187c5696b21cc21",
    "exact": "sha256:74921bf410cab9b4cd334785e08ae98fffe12317bdcce4a461963fd4e5c9835a",
}
DRAWS: dict[str, dict[str, Any]] = {
    "bernoulli": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "exact": {"kind": "exact", "per": "group", "unit": "layer"},
    "lowest": {"kind": "lowest", "per": "group", "unit": "layer"},
}
stacks = st.builds(
    lambda begins, first, steps: LayersAt(
        (0, *sorted(begins)), tuple(np.cumsum([first, *steps[: len(begins)]]).tolist())
    ),
    st.sets(st.integers(1, 99), max_size=3),
    st.integers(1, 4),
    st.lists(st.integers(1, 4), min_size=3, max_size=3),
)


def drawn(kind: str, **changes: Any) -> Any:
    return schedule(draw=DRAWS[kind], rescale="none" if kind == "lowest" else "sublayer", **changes)


@given(stacks, st.integers(0, 100))
def test_the_last_begin_that_has_come_counts(stack: LayersAt, step: int) -> None:
    expected = [size for begin, size in zip(stack.begins, stack.sizes, strict=True) if begin <= step][-1]
    assert stack.before(step) == expected == int(stack.at(step)) == stack.at([step]).tolist()[0]
    assert stack.after(step) == stack.before(max(step - 1, 0))
    assert stack.mean(100) == pytest.approx(np.mean([stack.before(at) for at in range(100)]))


@pytest.mark.parametrize(
    ("begins", "sizes"),
    [((1,), (3,)), ((0, 5), (3,)), ((0, 5, 5), (1, 2, 3)), ((0, 5), (3, 3)), ((0,), (0,)), ((), ())],
)
def test_what_is_no_stack(begins: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, IndexError)):
        LayersAt(begins, sizes)


@pytest.mark.parametrize(
    "depth",
    [{"kind": "uniform"}, {"kind": "linear", "index": "l/L"}, {"kind": "uniform", "always": ["first", "last"]}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["bernoulli", "lowest"])
def test_a_stage_is_the_schedule_of_a_model_of_that_depth(kind: str, depth: dict[str, Any]) -> None:
    if kind == "lowest" and "always" in depth:
        depth = {"kind": "uniform"}
    made = drawn(kind, depth=depth)
    grid, whole = (
        made.keep_grid(np.arange(TOTAL + 1), TOTAL, GROWING),
        Plan(made, 3, TOTAL, GROWING, 2).kept(np.arange(TOTAL)),
    )
    assert grid.shape == (TOTAL + 1, 12)
    for begin, end, size in ((0, 300, 3), (300, 600, 6), (600, 1000, 12)):
        alone = Plan(made, 3, TOTAL, size, 2).kept(np.arange(begin, end))
        assert (whole[begin:end, :, :size] == alone).all()
        assert not whole[begin:end, :, size:].any()
        assert (grid[begin:end, :size] == made.keep_grid(np.arange(begin, end), TOTAL, size)).all()
        assert not grid[begin:end, size:].any()
    assert grid[-1].tolist() == made.keep_grid(TOTAL, TOTAL, 12).tolist()


def test_progress_goes_on_and_always_is_of_the_layers_there_are() -> None:
    made = schedule(
        temporal={"kind": "linear", "start": 1.0, "end": 0.5}, depth={"kind": "uniform", "always": ["first", "last"]}
    )
    p = made.keep_probabilities([0, 299, 300, 599, 600, 1000], TOTAL, GROWING)
    theta = made.theta([0, 299, 300, 599, 600, 1000], TOTAL)
    for row, rate, size in zip(p, theta, (3, 3, 6, 6, 12, 12), strict=True):
        assert row[[0, size - 1]].tolist() == [1.0, 1.0]
        assert row[1 : size - 1] == pytest.approx(rate, abs=1 / STEPS)
        assert (row[size:] == 0).all()


@settings(max_examples=40, deadline=None)
@given(stacks, st.sampled_from(sorted(DRAWS)), st.integers(0, 2**40), st.integers(1, 3), st.floats(0.1, 1.0))
def test_gates_are_those_of_the_layers_that_exist(
    stack: LayersAt, kind: str, seed: int, groups: int, theta: float
) -> None:
    plan = Plan(constant(theta, draw=DRAWS[kind], rescale="none"), seed, 100, stack, groups)
    kept = plan.kept(np.arange(100))
    for step in (0, 99, *stack.begins, *(begin - 1 for begin in stack.begins[1:])):
        gates = plan.gates(step, groups - 1)
        assert len(gates.keep) == len(gates.scale) == stack.before(step)
        assert gates.keep == tuple(kept[step, groups - 1, : stack.before(step)].tolist())
    assert not kept[
        np.arange(stack.final)[None, :].repeat(100, 0)[:, None, :].repeat(groups, 1)
        >= stack.at(np.arange(100))[:, None, None]
    ].any()


@settings(max_examples=30, deadline=None)
@given(stacks, st.integers(0, 2**40), st.floats(0.05, 1.0))
def test_the_counter_of_an_exact_draw_goes_on_over_boundaries(stack: LayersAt, seed: int, theta: float) -> None:
    made = constant(theta, draw=DRAWS["exact"])
    plan = Plan(made, seed, 100, stack, 2)
    wanted = np.cumsum(made.keep_grid(np.arange(100), 100, stack).sum(axis=-1) / STEPS)
    assert (np.abs(np.cumsum(plan.kept(np.arange(100)).sum(axis=-1), axis=0) - wanted[:, None]) < 1).all()
    assert (plan.kept([97, 98]) == Plan(made, seed, 100, stack, 2).kept([97, 98])).all()  # read from anywhere


def test_marginals_of_an_exact_draw_stay_exact() -> None:
    made = constant(0.5, {"kind": "linear", "index": "l/L"}, draw=DRAWS["exact"])
    stack = LayersAt((0, 10_000), (4, 8))
    kept = Plan(made, 2, 20_000, stack).kept(np.arange(20_000))[:, 0]
    for steps, size in ((slice(0, 10_000), 4), (slice(10_000, 20_000), 8)):
        p = made.keep_probabilities(0, 20_000, size)
        assert kept[steps, :size].mean(axis=0) == pytest.approx(p, abs=4 * 0.5 / 100)


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_rows_and_halves_of_layers_that_exist(unit: str) -> None:
    made = constant(0.5, draw={"kind": "bernoulli", "per": "sequence", "unit": unit, "strata": 4})
    plan = Plan(made, 1, 100, LayersAt((0, 50), (2, 4)), 1, sequences=8)
    assert not plan.kept_rows(np.arange(50))[:, :, 2:].any()
    for step, size in ((0, 2), (49, 2), (50, 4)):
        gates = plan.at(step, 0)
        halves = (gates.attention, gates.feed_forward) if isinstance(gates, SublayerGates) else (gates,)
        for half in halves:
            assert isinstance(half, RowGates) and len(half.rows) == len(half.scale) == size
            assert all(half.rows)  # every layer that exists runs for some rows, so that no rank leaves it out


def test_the_least_probability_is_that_of_an_existing_layer() -> None:
    """Linear l/L from 0.5: with 12 layers the last has 0.5, with one 0.5; the absent ones have none and are not looked
    at.
    """
    made = schedule(
        temporal={"kind": "linear", "start": 0.2, "end": 0.9},
        draw={"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 4},
    )
    ((path, why, _),) = made.misfits(100, LayersAt((0, 50), (1, 12)), (8,))
    assert path == ("draw", "strata")
    assert "falls to 0.2:" in why
    later = schedule(temporal={"kind": "linear", "start": 0.3, "end": 0.9}, draw=made.draw.model_dump())
    assert later.misfits(100, LayersAt((0, 50), (1, 12)), (8,)) == []


def test_deepspeeds_scale_is_that_of_the_layers_there_are() -> None:
    made = constant(0.5, {"kind": "linear", "index": "(l-1)/L"}, rescale="deepspeed")
    plan = Plan(made, 0, 10, LayersAt((0, 5), (2, 4)))
    for step, size in ((4, 2), (5, 4)):
        gates = plan.gates(step, 0)
        for layer, (keep, scale) in enumerate(zip(gates.keep, gates.scale, strict=True), start=1):
            assert scale == pytest.approx(1 / (1 - layer / size * 0.5) if keep else 1.0, abs=1e-8)
    assert len(plan.gates(5, 0).keep) == 4


def test_evaluation_is_of_the_layers_after_the_completed_steps() -> None:
    made = schedule(rescale="evaluation")
    plan = Plan(made, 0, TOTAL, GROWING)
    for done, size in ((0, 3), (300, 3), (301, 6), (600, 6), (1000, 12)):
        assert plan.evaluation(done) == Gates(
            (True,) * size, tuple(made.keep_probabilities(done, TOTAL, size).tolist()), "block"
        )


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_the_plan_of_a_growing_stack_stays_what_it_was(kind: str) -> None:
    """A change here changes every stored run that grows."""
    assert Plan(drawn(kind), 0, TOTAL, GROWING, 2).digest() == GOLDEN[kind]


def test_growth_changes_the_digest() -> None:
    stacks_ = [
        12,
        GROWING,
        LayersAt((0, 300, 601), (3, 6, 12)),
        LayersAt((0, 300, 600), (3, 5, 12)),
        LayersAt((0, 600), (3, 12)),
        LayersAt((0,), (12,)),
    ]
    assert len({Plan(schedule(), 0, TOTAL, layers, 2).digest() for layers in stacks_}) == len(stacks_)
    assert layers_at(12) == LayersAt((0,), (12,))


@pytest.mark.parametrize(
    ("depth", "why"),
    [
        (
            {"kind": "table", "values": [1.0] * 12},
            "a table of 12 layers, for a model of 3 layers, as it is in a stage of growth",
        ),
        (
            {"kind": "uniform", "always": [1, 6]},
            "there is no layer 6 in a model of 3 layers, as it is in a stage of growth",
        ),
    ],
    ids=["table", "always"],
)
def test_a_depth_family_that_does_not_fit_a_stage(depth: dict[str, Any], why: str) -> None:
    made = schedule(depth=depth, **CONVENTIONS)
    with pytest.raises(ConfigError) as caught:
        Plan(made, 0, TOTAL, GROWING)
    assert [problem.message for problem in caught.value.problems] == [why]
