"""Growth in training: a grown model against one built by hand, its moments, resumes around a boundary, and what was
executed.
"""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from pld_search.errors import CheckpointError
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.blocks import Block
from pld_search.model.build_model import masked_lm
from pld_search.records import jsonl
from pld_search.records.events import read_run_events
from pld_search.records.run_record import RunWriter, fold_run, surviving
from pld_search.schedules.plan import Plan
from pld_search.spaces.resolve import forecast_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Divergence, Experiment
from pld_search.specs.growth import Growth
from pld_search.training import grow, state
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State
from pld_search.training.step import forward_backward, probe_full_depth, train_step
from pld_search.training.train_run import train
from tests.training.resumes import resumed_around, same
from tests.training.test_resume import SCALE, TINY, run_child

STEPS, FIRST, SECOND = 20, 6, 12
STAGES = {"0 %": 1, "30 %": 2, "60 %": 4}
Builder, Executor = Callable[..., Experiment], Callable[..., Execution]


def growing(weights: str = "stack", moments: str = "copy", stages: dict[str, int] | None = None) -> Growth:
    return Growth.model_validate({"stages": stages or STAGES, "weights": weights, "moments": moments})


def opened(spec: Experiment, how: Execution, tmp_path: Path) -> tuple[Setup, State, RunWriter]:
    setup = open_setup(spec, how)
    return setup, state.fresh(setup), RunWriter(tmp_path / "events.jsonl")


def run_steps(setup: Setup, own: State, log: RunWriter, first: int, last: int) -> None:
    for step in range(first, last):
        grow.grow(setup, own, log, step)
        own.telemetry.push(train_step(setup, own, step, setup.batch_at(step)))
        own.step = step + 1
    own.telemetry.settle()


def blocks_of(model: PldBertForMaskedLM) -> list[dict[str, torch.Tensor]]:
    return [
        {name: tensor.clone() for name, tensor in block.state_dict().items()} for block in model.bert.encoder.blocks
    ]


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ("stack", [0, 1, 0, 1]),
        ("interleave", [0, 0, 1, 1]),
        ("middle", [0, 1, 0, 1]),
        ("fresh", [0, 1, None, None]),
    ],
)
def test_new_blocks_are_copies_block_by_block(
    weights: str, order: list[int | None], experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule="full", steps=STEPS, growth=growing(weights, "reset"))
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, SECOND)
    trained, rest = (
        blocks_of(own.model),
        {name: tensor.clone() for name, tensor in own.model.state_dict().items() if ".blocks." not in name},
    )
    full_depth = blocks_of(masked_lm(spec.model, spec.seed))
    assert len(trained) == 2 and not same(trained[0], trained[1])

    grow.grow(setup, own, log, SECOND)
    grown = blocks_of(own.model)
    assert len(grown) == 4 == own.model.config.num_hidden_layers
    for index, source in enumerate(order):
        assert same(grown[index], full_depth[index] if source is None else trained[source])
    assert same(rest, {name: tensor for name, tensor in own.model.state_dict().items() if ".blocks." not in name})
    assert {id(parameter) for parameter in own.parameters} == {id(parameter) for parameter in own.model.parameters()}
    assert [id(p) for group in own.optimizer.param_groups for p in group["params"]] == [
        id(p) for p in own.parameters if p.ndim >= 2
    ] + [id(p) for p in own.parameters if p.ndim < 2]


def test_the_loss_right_after_stacking_is_that_of_a_model_built_by_hand(
    experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule="full", steps=STEPS, growth=growing(), model={"dropout": 0.0, "attention_dropout": 0.0})
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, SECOND)
    by_hand, trained, filled = masked_lm(spec.model, 99), own.model.state_dict(), 0
    for name, tensor in by_hand.state_dict().items():
        tensor.copy_(trained[name.replace("blocks.2.", "blocks.0.").replace("blocks.3.", "blocks.1.")])
        filled += 1
    assert filled > len(trained)

    batch = setup.batch_at(SECOND)
    grow.grow(setup, own, log, SECOND)
    loss = forward_backward(setup, own, SECOND, batch, [None] * len(batch))
    losses = [by_hand(**part.tensors).loss * part.shares[0] for group in batch for part in group]
    assert float(loss) == pytest.approx(sum(each.item() for each in losses), rel=1e-6)
    fields = {"weights": "stack", "moments": "copy"}
    logged = [
        (event["event"], event["step"], event["layers_from"], event["layers_to"])
        for event in jsonl.read(tmp_path / "events.jsonl")
    ]
    assert logged == [("grown", FIRST, 1, 2), ("grown", SECOND, 2, 4)]
    assert all(event.items() >= fields.items() for event in jsonl.read(tmp_path / "events.jsonl"))


@pytest.mark.parametrize("weights", ["stack", "interleave"])
@pytest.mark.parametrize("moments", ["copy", "reset"])
def test_moments_go_with_the_weights_or_start_anew(
    weights: str, moments: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule="full", steps=STEPS, growth=growing(weights, moments))
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, SECOND)
    before = [
        {name: copy.deepcopy(own.optimizer.state[p]) for name, p in block.named_parameters()}
        for block in own.model.bert.encoder.blocks
    ]
    old = list(own.model.bert.encoder.blocks)
    assert {float(held["step"]) for of_block in before for held in of_block.values()} == (
        {SECOND} if moments == "copy" else {SECOND, SECOND - FIRST}
    )
    embeddings = own.optimizer.state[own.model.bert.embeddings.words.weight]
    grow.grow(setup, own, log, SECOND)
    order = [0, 1, 0, 1] if weights == "stack" else [0, 0, 1, 1]
    compared = 0
    for block, source in zip(own.model.bert.encoder.blocks, order, strict=True):
        for name, parameter in block.named_parameters():
            if moments == "reset" and block not in old:
                assert parameter not in own.optimizer.state
                continue
            held = own.optimizer.state[parameter]
            assert all(torch.equal(held[key], before[source][name][key]) for key in ("step", "exp_avg", "exp_avg_sq"))
            compared += 1
    assert compared == (2 if moments == "reset" else 4) * len(before[0])
    assert own.optimizer.state[own.model.bert.embeddings.words.weight] is embeddings
    run_steps(setup, own, log, SECOND, SECOND + 1)  # copies have tensors of their own
    new = [own.optimizer.state[next(block.parameters())]["exp_avg"] for block in own.model.bert.encoder.blocks]
    assert len({tensor.data_ptr() for tensor in new}) == 4


def test_learning_rate_and_loss_scale_go_on(experiment: Builder, execution: Executor, tmp_path: Path) -> None:
    spec = experiment(schedule="full", steps=STEPS, growth=growing(), precision="fp16")
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, FIRST)
    scale, rates = own.numerics.state(), [group["lr"] for group in own.optimizer.param_groups]
    grow.grow(setup, own, log, FIRST)
    assert own.numerics.state() == scale
    assert [group["lr"] for group in own.optimizer.param_groups] == rates
    run_steps(setup, own, log, FIRST, FIRST + 1)
    assert own.optimizer.param_groups[0]["lr"] == setup.rate.at(FIRST)


@pytest.mark.parametrize("schedule", ["full", "pld", "raptr"])
def test_what_a_growing_run_executes_is_what_was_planned(
    schedule: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule=schedule, steps=40, growth=growing("interleave"), tasks=schedule == "pld")
    calls = 0

    def count(module: nn.Module, *_: Any) -> None:
        nonlocal calls
        calls += isinstance(module, Block) and module.training

    hook = register_module_forward_hook(count)
    try:
        record = train(spec, execution(checkpoint_every=13, speed_probes=0, micro_batch=None), tmp_path / "run")
    finally:
        hook.remove()
    assert record.state == "finished"
    assert record.grown == [(12, 2), (24, 4)]
    kept = Plan(spec.schedule, spec.seed, 40, spec.layers_at, spec.batch.groups).kept(np.arange(40))
    if not spec.evaluation.tasks:
        assert calls == kept.sum()
    whole = 40 * spec.batch.groups * spec.model.layers
    assert record.final["saved/block_flops"] == pytest.approx(1 - kept.sum() / whole, abs=1e-12)
    forecast = forecast_of(spec)
    if schedule == "full":
        assert kept.sum() / whole == (12 * 1 + 12 * 2 + 16 * 4) / 160
        assert record.final["progress/tflop"] == pytest.approx(forecast.total_flops / 1e12, rel=1e-12)
        assert record.final["saved/flops"] == pytest.approx(forecast.saved_flops, abs=1e-12)
    assert record.final["drop/layers_kept"] == pytest.approx(
        forecast.expected_layers_mean, abs=5 * forecast.layers_std / 40**0.5 + 1e-9
    )
    depths = [
        json.loads((folder / "config.json").read_text())["num_hidden_layers"]
        for folder in sorted((tmp_path / "run" / "checkpoints").iterdir())
    ]
    assert depths == [4, 4]
    if schedule == "pld":
        assert {"task/single/accuracy", "task/average"} <= record.final.keys()


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_resumes_before_at_and_after_a_boundary_are_bit_identical(
    kind: str, experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints each 4 steps, stages at 8 and 16. Killed -9 after step 9, a run has grown and goes on from before it
    did.
    """
    stages = growing(stages={"0 %": 1, "40 %": 2, "80 %": 4})
    spec = experiment(
        precision=kind, steps=STEPS, model={**TINY, "layers": 4}, growth=stages, batch={"sequences": 4, "groups": 2}
    )
    how = execution(checkpoint_every=4, keep_checkpoints=10, log_points=STEPS, speed_probes=2)
    assert run_child(spec, how, tmp_path / "killed", kill_at=9, scale=SCALE) == -signal.SIGKILL
    assert fold_run(tmp_path / "killed").grown == [(8, 2)]
    straight, resumed = resumed_around(spec, how, tmp_path, monkeypatch)
    for out, again in resumed:
        assert again.grown == straight.grown == [(8, 2), (16, 4)]
        assert [event.step for event in surviving(read_run_events(out / "events.jsonl")) if event.NAME == "grown"] == [
            8,
            16,
        ]


def test_depth_of_checkpoints_and_a_checkpoint_of_another_depth(
    experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule="full", steps=STEPS, growth=growing())
    train(spec, execution(checkpoint_every=3, keep_checkpoints=10), tmp_path / "run")
    depths = {
        folder.name: json.loads((folder / "config.json").read_text())["num_hidden_layers"]
        for folder in (tmp_path / "run" / "checkpoints").iterdir()
    }
    assert [depths[f"step-{step:08d}"] for step in (3, 6, 9, 12, 15, 18, 20)] == [1, 1, 2, 2, 4, 4, 4]
    setup, own, _ = opened(experiment(schedule="full", steps=STEPS), execution(), tmp_path)
    saved = state.checkpoint.Checkpoint(9, tmp_path / "run" / "checkpoints" / "step-00000009")
    with pytest.raises(CheckpointError, match="2 layers after 9 steps, not 4"):
        own.restore(saved)
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, 15)
    own.restore(saved)  # back from four layers to two
    assert (own.step, len(own.model.bert.encoder.blocks), len(own.optimizer.state)) == (9, 2, len(own.parameters))


def test_full_depth_is_timed_at_the_final_depth_and_changes_nothing(
    experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(schedule="pld", steps=STEPS, growth=growing())
    setup, own, log = opened(spec, execution(), tmp_path)
    run_steps(setup, own, log, 0, FIRST + 1)
    own.model.config.full_depth = None
    weights = copy.deepcopy(own.model.state_dict())
    calls: list[int] = []
    for block in own.model.bert.encoder.blocks:
        block.register_forward_hook(lambda *_: calls.append(1))
    assert probe_full_depth(setup, own, FIRST, setup.batch_at(FIRST)) > 0
    assert len(calls) == spec.model.layers * spec.batch.groups
    assert len(own.model.bert.encoder.blocks) == 2
    assert same(weights, own.model.state_dict())
    assert all(parameter.grad is None for parameter in own.model.parameters())


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_rescale_evaluation_scales_the_layers_there_are(
    unit: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    base = experiment(schedule="random", steps=STEPS, growth=growing())
    changed = base.schedule.model_validate(
        {
            **base.schedule.model_dump(),
            "rescale": "evaluation",
            "draw": {"kind": "bernoulli", "per": "group", "unit": unit},
        }
    )
    spec = base.model_copy(update={"schedule": changed})
    record = train(spec, execution(checkpoint_every=3, keep_checkpoints=10, speed_probes=5), tmp_path / "run")
    assert record.state == "finished"
    for step, layers in ((6, 1), (9, 2), (12, 2), (15, 4)):
        written = json.loads((tmp_path / "run" / "checkpoints" / f"step-{step:08d}" / "config.json").read_text())
        assert written["residual_scale"] == changed.keep_probabilities(step, STEPS, layers).tolist()


@pytest.mark.parametrize("skipped", ["freeze", "decay", "zero_grad"])
def test_skipped_weights_are_those_of_layers_that_exist(
    skipped: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    base = experiment(schedule="random", steps=STEPS, growth=growing())
    changed = base.schedule.model_validate(
        {**base.schedule.model_dump(), "skipped": skipped, "temporal": {"kind": "constant", "value": 0.3}}
    )
    record = train(base.model_copy(update={"schedule": changed}), execution(), tmp_path / "run")
    assert (record.state, record.grown) == ("finished", [(FIRST, 2), (SECOND, 4)])


@pytest.mark.parametrize("policy", ["stop", "lower_lr"])
def test_a_jump_of_the_loss_at_a_growth_is_a_spike_like_any_other(
    policy: str, experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that recovers goes back to before the boundary and grows again, here without the fault."""
    deepen, faults = grow.deepen, [200.0]

    def deepen_badly(model: PldBertForMaskedLM, *how: Any) -> Any:
        copied = deepen(model, *how)
        with torch.no_grad():
            model.bert.embeddings.words.weight.mul_(faults.pop() if faults else 1.0)
        return copied

    monkeypatch.setattr(grow, "deepen", deepen_badly)
    spec = experiment(
        schedule="full",
        steps=STEPS,
        growth=growing(),
        on_divergence=policy,
        divergence=Divergence(spike=1.0, spike_steps=3),
    )
    record = train(spec, execution(checkpoint_every=3), tmp_path / "run")
    if policy == "stop":
        assert (record.state, record.final["divergence/first_bad_step"]) == ("diverged", FIRST + 1)
        return
    assert (record.state, record.grown) == ("finished", [(FIRST, 2), (SECOND, 4)])
    assert [event.from_step for event in record.recoveries] == [FIRST]
