"""Every combination that the schedule language has, executed: it trains, what ran is what the plan says, and it resumes
exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.errors import ConfigError
from pld_search.model.pretrained import checkpoint_config, checkpoint_digest
from pld_search.schedules import library
from pld_search.schedules.schedule import Schedule
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint, state
from pld_search.training.evaluation import evaluate_checkpoint
from pld_search.training.held_out_losses import held_out_loss
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State
from pld_search.training.step import train_step
from pld_search.training.train_run import train

SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}
FALLING = {"kind": "linear", "start": 1.0, "end": 0.5}
Opened = Callable[..., tuple[Setup, State]]


def schedule(**changes: Any) -> dict[str, Any]:
    draw = {"kind": "bernoulli", "per": "group", "unit": "layer", **changes.pop("draw", {})}
    if draw["per"] == "sequence":
        draw["strata"] = 2
    index = "(l-1)/L" if changes.get("rescale") == "deepspeed" else "l/L"
    return {
        "temporal": FALLING,
        "depth": {"kind": "linear", "index": index},
        "draw": draw,
        "rescale": "sublayer",
        "skipped": "freeze",
        **changes,
    }


def cells() -> Iterator[dict[str, Any]]:
    """Every combination that a Schedule accepts."""
    words = (
        ("bernoulli", "exact", "lowest"),
        ("layer", "sublayer"),
        ("group", "sequence"),
        ("sublayer", "block", "none", "evaluation", "deepspeed"),
        ("freeze", "decay", "zero_grad"),
    )
    for kind, unit, per, rescale, skipped in product(*words):
        written = schedule(draw={"kind": kind, "unit": unit, "per": per}, rescale=rescale, skipped=skipped)
        try:
            Schedule.model_validate(written)
        except ValidationError:
            continue
        yield written


def named(written: dict[str, Any]) -> str:
    return "-".join(
        [*(str(written["draw"][word]) for word in ("kind", "unit", "per")), written["rescale"], written["skipped"]]
    )


CELLS = list(cells())


@pytest.fixture
def spec(experiment: Callable[..., Experiment]) -> Callable[..., Experiment]:
    def build(written: dict[str, Any], **changes: Any) -> Experiment:
        base = experiment(**{"schedule": "full", "model": SMALL, "batch": {"sequences": 8, "groups": 2}, **changes})
        return Experiment.model_validate({**base.model_dump(mode="json"), "schedule": written})

    return build


@pytest.fixture
def opened(spec: Callable[..., Experiment], execution: Callable[..., Execution]) -> Opened:
    def build(written: dict[str, Any], *, micro_batch: int | None = None, **changes: Any) -> tuple[Setup, State]:
        setup = open_setup(spec(written, **changes), execution(micro_batch=micro_batch))
        return setup, state.fresh(setup)

    return build


def run_steps(setup: Setup, progress: State, start: int, end: int) -> list[float]:
    losses = []
    for step in range(start, end):
        flight = train_step(setup, progress, step, setup.batch_at(step))
        progress.telemetry.push(flight)
        progress.step = step + 1
        losses.append(flight.numbers[0].item())
    progress.telemetry.settle()
    return losses


def test_there_are_cells() -> None:
    assert len(CELLS) == 55
    assert {written["draw"]["kind"] for written in CELLS} == {"bernoulli", "exact", "lowest"}
    assert {written["rescale"] for written in CELLS} == {"sublayer", "block", "none", "evaluation", "deepspeed"}


@pytest.mark.parametrize("written", CELLS, ids=named)
def test_every_cell_trains(written: dict[str, Any], opened: Opened) -> None:
    setup, progress = opened(written, steps=3)
    assert all(math.isfinite(loss) for loss in run_steps(setup, progress, 0, 3))
    assert math.isfinite(held_out_loss(setup, progress.at_full_depth(), progress.numerics, "validation"))
    assert all(torch.isfinite(parameter).all() for parameter in progress.parameters)


def count_rows(model: nn.Module) -> dict[tuple[int, int], int]:
    """Sequences that go through (layer, half), counted where they do."""
    counts = {(layer, half): 0 for layer in range(3) for half in range(2)}

    def hook(key: tuple[int, int]) -> Callable[..., None]:
        def count(_module: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
            counts[key] += len(inputs[0])

        return count

    for layer, block in enumerate(model.bert.encoder.blocks):  # type: ignore[attr-defined,arg-type]
        block.attention.register_forward_hook(hook((layer, 0)))
        block.feed_forward.register_forward_hook(hook((layer, 1)))
    return counts


@pytest.mark.parametrize(
    ("draw", "steps", "micro_batch"),
    [
        ({}, 300, None),
        ({"unit": "sublayer"}, 300, None),
        ({"per": "sequence", "unit": "sublayer"}, 300, None),
        ({"per": "sequence"}, 60, 2),
        ({"kind": "exact", "unit": "sublayer"}, 60, 2),
        ({"kind": "lowest"}, 60, 2),
    ],
    ids=str,
)
def test_what_ran_is_the_plan_and_what_the_meter_says(
    draw: dict[str, Any], steps: int, micro_batch: int | None, opened: Opened
) -> None:
    setup, progress = opened(schedule(draw=draw, rescale="none"), steps=steps, micro_batch=micro_batch)
    counts = count_rows(progress.model)
    run_steps(setup, progress, 0, steps)
    by_step = (
        setup.plan.kept_rows(range(steps)).sum(axis=-1)
        if "per" in draw
        else setup.plan.kept_sublayers(range(steps)) * 4
    )
    expected = by_step.sum(axis=(0, 1))
    assert counts == {(layer, half): expected[layer, half] for layer in range(3) for half in range(2)}
    meter = progress.telemetry.meter
    (stage,) = meter.stages  # one length
    assert stage.ran == tuple(expected.sum(axis=0))
    assert 0.5 < meter.totals()["drop/layers_kept"] / 3 < 0.95
    assert meter.totals()["drop/layers_kept"] == pytest.approx(expected.sum() / (2 * 8 * steps))


@pytest.mark.parametrize(
    "draw", [{"unit": "sublayer"}, {"per": "sequence"}, {"per": "sequence", "unit": "sublayer"}], ids=str
)
def test_flops_of_the_meter_are_those_that_torch_counts(draw: dict[str, Any], opened: Opened) -> None:
    setup, progress = opened(schedule(draw=draw), steps=12)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        run_steps(setup, progress, 4, 12)
    assert progress.telemetry.meter.totals()["progress/tflop"] * 1e12 == pytest.approx(
        counter.get_total_flops(), rel=1e-12
    )


@pytest.mark.parametrize(
    "draw", [{"unit": "sublayer"}, {"per": "sequence"}, {"per": "sequence", "unit": "sublayer"}], ids=str
)
def test_micro_batches_add_up_to_the_whole(draw: dict[str, Any], opened: Opened) -> None:
    calm = {**SMALL, "dropout": 0.0, "attention_dropout": 0.0}
    whole, parts = (opened(schedule(draw=draw), steps=6, model=calm, micro_batch=size) for size in (None, 2))
    assert run_steps(*whole, 0, 6) == pytest.approx(run_steps(*parts, 0, 6), abs=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_rows_of_halves_train_in_half_precision(precision: str, opened: Opened) -> None:
    written = schedule(draw={"per": "sequence", "unit": "sublayer"})
    calm = {**SMALL, "dropout": 0.0, "attention_dropout": 0.0}
    exact, half = (opened(written, steps=3, model=calm, precision=kind) for kind in ("fp32", precision))
    assert run_steps(*half, 0, 2) == pytest.approx(run_steps(*exact, 0, 2), rel=0.02)


def test_a_micro_batch_that_cuts_a_stratum_is_refused(opened: Opened) -> None:
    with pytest.raises(ConfigError, match="whole strata"):
        opened(schedule(draw={"per": "sequence"}), micro_batch=3)
    opened(schedule(draw={"per": "sequence"}), micro_batch=100)  # a group is smaller


@pytest.mark.parametrize("rescale", ["sublayer", "block", "none", "deepspeed"])
def test_a_keep_probability_of_one_is_bit_equal_to_full_depth(rescale: str, opened: Opened) -> None:
    always = {"kind": "constant", "value": 1.0}
    full, gated = (
        opened(schedule(temporal=always, rescale="none"), steps=4),
        opened(schedule(temporal=always, rescale=rescale), steps=4),
    )
    assert run_steps(*full, 0, 4) == run_steps(*gated, 0, 4)
    assert all(torch.equal(one, other) for one, other in zip(full[1].parameters, gated[1].parameters, strict=True))


@pytest.mark.parametrize(
    "draw", [{"unit": "sublayer"}, {"per": "sequence"}, {"per": "sequence", "unit": "sublayer"}], ids=str
)
def test_halves_and_rows_of_probability_one_are_bit_equal_to_full_depth(draw: dict[str, Any], opened: Opened) -> None:
    always = {"kind": "constant", "value": 1.0}
    full, gated = (
        opened(schedule(temporal=always, rescale="none"), steps=4),
        opened(schedule(temporal=always, draw=draw), steps=4),
    )
    assert run_steps(*full, 0, 4) == run_steps(*gated, 0, 4)
    assert all(torch.equal(one, other) for one, other in zip(full[1].parameters, gated[1].parameters, strict=True))


@pytest.mark.parametrize(
    "written",
    [
        schedule(draw={"per": "sequence", "unit": "sublayer"}, rescale="evaluation"),
        schedule(draw={"kind": "exact", "unit": "sublayer"}, skipped="zero_grad"),
        schedule(rescale="deepspeed", skipped="decay"),
    ],
    ids=named,
)
def test_a_checkpoint_goes_on_bit_by_bit(written: dict[str, Any], opened: Opened, tmp_path: Path) -> None:
    setup, straight = opened(written, steps=12)
    run_steps(setup, straight, 0, 7)
    straight.save(tmp_path, keep=1)
    run_steps(setup, straight, 7, 12)
    _, resumed = opened(written, steps=12)
    saved = checkpoint.latest(tmp_path)
    assert saved is not None
    resumed.restore(saved)
    run_steps(setup, resumed, 7, 12)
    assert all(torch.equal(one, other) for one, other in zip(straight.parameters, resumed.parameters, strict=True))
    assert straight.telemetry.meter.totals() == resumed.telemetry.meter.totals()
    one, other = (list(progress.optimizer.state.values()) for progress in (straight, resumed))
    assert len(one) == len(other) > 20
    assert all(torch.equal(mine[name], theirs[name]) for mine, theirs in zip(one, other, strict=True) for name in mine)


def test_evaluation_runs_under_the_keep_probabilities_of_its_step(
    spec: Callable[..., Experiment], execution: Callable[..., Execution], tmp_path: Path
) -> None:
    experiment, how = (
        spec(schedule(rescale="evaluation"), steps=12, tasks=True),
        execution(checkpoint_every=6, keep_checkpoints=5),
    )
    record = train(experiment, how, tmp_path)
    assert record.state == "finished"
    last = tmp_path / "checkpoints" / "step-00000012"
    again = evaluate_checkpoint(experiment, how, last, tmp_path / "again")
    assert {name: record.final[name] for name in again} == again
    setup = open_setup(experiment, how)
    progress = state.fresh(setup)
    for step in (6, 12):
        saved = checkpoint_config(tmp_path / "checkpoints" / f"step-{step:08d}").full_depth
        assert saved == setup.plan.evaluation(step)
        assert saved.scale == tuple(experiment.schedule.keep_probabilities(step, 12, 3))
    progress.restore(checkpoint.Checkpoint(12, last))
    scaled = held_out_loss(setup, progress.at_full_depth(), progress.numerics, "test")
    assert scaled == record.final["test/loss"]
    progress.model.config.full_depth = None
    assert held_out_loss(setup, progress.model, progress.numerics, "test") != scaled


def test_weights_of_an_evaluation_run_continue_only_in_one(
    spec: Callable[..., Experiment], execution: Callable[..., Execution], opened: Opened, tmp_path: Path
) -> None:
    setup, progress = opened(schedule(rescale="evaluation"), steps=4)
    run_steps(setup, progress, 0, 4)
    folder = progress.save(tmp_path, keep=1).folder
    digest = checkpoint_digest(folder)
    place = {**execution().folders, digest: str(folder)}
    for rescale, refused in (("none", True), ("evaluation", False)):
        follow = spec(schedule(rescale=rescale), steps=4, model={**SMALL, "checkpoint": digest})
        opening = open_setup(follow, execution(folders=place))
        if refused:
            with pytest.raises(ConfigError, match="rescale: evaluation"):
                state.fresh(opening)
        else:
            assert math.isfinite(run_steps(opening, state.fresh(opening), 0, 1)[0])


@pytest.mark.parametrize("name", library.names())
def test_every_schedule_of_the_library_trains(
    name: str, experiment: Callable[..., Experiment], execution: Callable[..., Execution]
) -> None:
    setup = open_setup(
        experiment(schedule=name, steps=3, model={**SMALL, "layers": 12}, batch={"sequences": 64, "groups": 1}),
        execution(),
    )
    assert all(math.isfinite(loss) for loss in run_steps(setup, state.fresh(setup), 0, 3))
