"""Runs whose sequences get longer: what is executed and counted, resumes around a boundary, graphs, and what is
refused.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from pld_search.costs.flops import step_flops
from pld_search.errors import ConfigError, DataError
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.blocks import Block
from pld_search.records.run_record import fold_run
from pld_search.schedules.plan import Plan
from pld_search.spaces.resolve import forecast_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training.branch import branch
from pld_search.training.measure_profile import measure
from pld_search.training.setup import open_setup
from pld_search.training.train_run import train
from tests.training.resumes import resumed_around
from tests.training.test_grow import growing
from tests.training.test_resume import SCALE, TINY, run_child

STEPS = 20
STAGES = {"0 %": 8, "40 %": 16, "80 %": 32}
Builder, Executor = Callable[..., Experiment], Callable[..., Execution]


@pytest.mark.parametrize(("schedule", "grows"), [("full", False), ("pld", False), ("pld", True)])
def test_what_a_run_executes_and_reads_is_counted_by_its_lengths(
    schedule: str, grows: bool, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    more = {"growth": growing()} if grows else {}
    spec = experiment(
        schedule=schedule, steps=40, data={"length": STAGES}, optimizer={"lr": 1e-3, "shape": "wsd"}, **more
    )
    shapes: list[tuple[bool, int]] = []  # a block in training, or the model as it is validated

    def see(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], _: Any) -> None:
        if isinstance(module, Block) and module.training:
            shapes.append((True, given[0].shape[1]))
        elif isinstance(module, PldBertForMaskedLM) and not module.training:
            shapes.append((False, named["input_ids"].shape[1]))

    hook = register_module_forward_hook(see, with_kwargs=True)
    try:
        record = train(spec, execution(checkpoint_every=13, speed_probes=0, log_points=40), tmp_path / "run")
    finally:
        hook.remove()
    assert record.state == "finished"
    kept = Plan(spec.schedule, spec.seed, 40, spec.layers_at, 2).kept(np.arange(40)).sum(axis=(1, 2))
    lengths = np.repeat([8, 16, 32], [16, 16, 8])
    assert [length for training, length in shapes if training] == np.repeat(lengths, kept).tolist()
    assert {length for training, length in shapes if not training} == {32}
    steps = [step_flops(spec.model, spec.data, spec.batch, int(length)) for length in lengths]
    executed = [each.block * count / 2 + each.fixed for each, count in zip(steps, kept, strict=True)]
    assert record.final["progress/tflop"] * 1e12 == pytest.approx(sum(executed), rel=1e-12)
    assert record.final["progress/tokens"] == 8 * lengths.sum() == forecast_of(spec).tokens
    for name, sums in (("progress/tokens", np.cumsum(8 * lengths)), ("progress/tflop", np.cumsum(executed) / 1e12)):
        points = record.series[name]
        assert len(points) == 40
        assert [value for _, value in sorted(dict(points).items())] == pytest.approx(sums.tolist(), rel=1e-12)
    full = sum(4 * each.block for each in steps)
    blocks = sum(each.block * count / 2 for each, count in zip(steps, kept, strict=True))
    assert record.final["saved/block_flops"] == pytest.approx(1 - blocks / full, abs=1e-12)
    if schedule == "full":
        assert record.final["saved/flops"] == pytest.approx(forecast_of(spec).saved_flops, abs=1e-12) == 0
        assert record.final["progress/tflop"] == pytest.approx(forecast_of(spec).total_flops / 1e12, rel=1e-12)


@pytest.mark.parametrize("learns", ["mlm", "mlm+nsp", "electra"])
def test_masks_of_several_rates_are_read_and_counted(
    learns: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    """Every objective predicts by the rate of the step, validates at the last one, and goes on exactly in between."""
    more = {} if learns == "mlm" else {"pretraining": {"kind": learns}}
    rate = {"0 %": 0.5, "50 %": 0.25}
    spec = experiment(schedule="full", steps=8, model=TINY, data={"masking": {"rate": rate}}, **more)
    setup = open_setup(spec, execution())
    widths = {step: part.tensors["positions"].shape[1] for step in range(8) for part in setup.batch_at(step)[0]}
    assert widths == dict.fromkeys(range(4), 8) | dict.fromkeys(range(4, 8), 4)
    assert {chunk.arrays["positions"].shape[1] for chunk in setup.held_out("validation")} == {4}

    how = execution(checkpoint_every=4, speed_probes=0)
    straight = train(spec, how, tmp_path / "straight")
    assert straight.final["progress/tflop"] * 1e12 == pytest.approx(forecast_of(spec).total_flops, rel=1e-12)
    assert straight.final["progress/tokens"] == forecast_of(spec).tokens == 8 * 16 * 8
    assert train(spec, how, tmp_path / "cut", until=4).state == "paused"
    assert train(spec, how, tmp_path / "cut").series == straight.series


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_resumes_before_at_and_after_a_boundary_are_bit_identical(
    kind: str, experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints each 4 steps, stages at 8 and 16. Killed -9 after step 9, a run has read longer sequences and goes on
    from before it did.
    """
    spec = experiment(
        precision=kind, steps=STEPS, model=TINY, data={"length": STAGES}, batch={"sequences": 4, "groups": 2}
    )
    how = execution(checkpoint_every=4, keep_checkpoints=10, log_points=STEPS, speed_probes=2)
    assert run_child(spec, how, tmp_path / "killed", kill_at=9, scale=SCALE) == -signal.SIGKILL
    straight, resumed = resumed_around(spec, how, tmp_path, monkeypatch)
    for _, again in resumed:
        assert len(again.series["train/loss"]) == STEPS
        assert {name: again.final[name] for name in again.series} == {
            name: straight.final[name] for name in straight.series
        }


def test_a_branch_counts_its_own_steps_at_their_lengths(
    experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(
        schedule="full", steps=STEPS, data={"length": STAGES}, optimizer={"lr": 1e-3, "shape": "wsd", "decay": "50 %"}
    )
    assert train(spec, execution(), tmp_path / "run", until=12).state == "paused"
    record = branch(spec, execution(), tmp_path / "run", 12)
    assert record.final["progress/tokens"] == 8 * (4 * 16 + 2 * 32)  # steps 12 .. 17
    assert train(spec, execution(), tmp_path / "run").final["progress/tokens"] == 8 * (8 * 8 + 8 * 16 + 4 * 32)


def test_full_depth_is_timed_at_every_length(experiment: Builder, execution: Executor, tmp_path: Path) -> None:
    record = train(
        experiment(steps=STEPS, data={"length": STAGES}), execution(speed_probes=STEPS, micro_batch=2), tmp_path / "run"
    )
    assert record.state == "finished"
    assert record.final["speed/relative"] > 0
    assert record.final["speed/tokens_per_second"] == pytest.approx(
        record.final["progress/tokens"] / record.final["progress/seconds"]
    )
    assert fold_run(tmp_path / "run").final == record.final


def test_what_cannot_run_is_refused(experiment: Builder, execution: Executor) -> None:
    staged = experiment(steps=STEPS, data={"length": STAGES})
    with pytest.raises(
        ConfigError,
        match=r"data\.length: seconds are measured for steps of one length, .*; allowed: one length; given: 8>16>32",
    ):
        measure(staged, execution(), seconds=0)
    many = experiment(steps=STEPS, data={"length": {f"{25 * n} %": 8 * (n + 1) for n in range(4)}})
    assert open_setup(many, execution()).flops.begins == (0, 5, 10, 15)
    with pytest.raises(
        ConfigError,
        match=(
            r"data\.length: too many lengths to compile: .*; allowed: 3 lengths with compile: true; given: 8, "
            r"16, 24, 32"
        ),
    ):
        open_setup(many, execution(compile=True))
    with pytest.raises(DataError, match="too few for one sequence of 100000"):
        open_setup(experiment(steps=STEPS, data={"length": {"0 %": 8, "90 %": 100_000}}), execution())
