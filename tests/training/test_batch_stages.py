"""Runs whose batch grows: what is read, executed and counted, resumes around a boundary, ranks, and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pld_search.costs.flops import step_flops
from pld_search.data.batches import Batches
from pld_search.errors import ConfigError
from pld_search.schedules.plan import Plan, RowGates
from pld_search.spaces.resolve import forecast_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Batch, Experiment
from pld_search.training.measure_profile import measure
from pld_search.training.parallel.batch_division import check_ranks
from pld_search.training.setup import open_setup
from pld_search.training.train_run import train
from tests.training.resumes import resumed_around
from tests.training.test_resume import SCALE, TINY, run_child

STEPS = 20
STAGES = {"0 %": 4, "40 %": 6, "80 %": 12}
SIZES = np.repeat([4, 6, 12], [8, 8, 4])
ROWS = {"base": "pld", "draw": {"kind": "bernoulli", "per": "sequence", "strata": 2, "unit": "layer"}}
Builder = Callable[..., Experiment]
Executor = Callable[..., Execution]


@pytest.mark.parametrize("learns", ["mlm", "mlm+nsp", "electra"])
def test_the_text_is_read_on_and_every_sequence_counts(
    learns: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    more = {} if learns == "mlm" else {"pretraining": {"kind": learns}}
    batch = {"sequences": STAGES, "groups": 1}
    spec = experiment(schedule="full", steps=STEPS, model=TINY, batch=batch, **more)
    plain = experiment(schedule="full", steps=STEPS, model=TINY, batch={"sequences": 2, "groups": 1}, **more)
    staged, even = (open_setup(each, execution()) for each in (spec, plain))
    read = [staged.batches.at(step).arrays["input_ids"].shape for step in range(STEPS)]
    assert [shape[0] for shape in read] == SIZES.tolist()
    if learns == "mlm":  # the same stream, cut otherwise: what the first 20 sequences are does not depend on the cuts
        streams = []
        for setup in (staged, even):
            assert isinstance(setup.batches, Batches)
            streams.append(np.concatenate([setup.batches.indices(step) for step in range(STEPS)]))
        assert streams[0][:40].tolist() == streams[1].tolist()
    assert [sum(len(part.input_ids) for part in staged.batch_at(step)[0]) for step in (0, 8, 19)] == [4, 6, 12]

    record = train(spec, execution(checkpoint_every=6, speed_probes=2, log_points=STEPS), tmp_path / "run")
    assert record.final["progress/tokens"] == forecast_of(spec).tokens == 16 * SIZES.sum()
    assert record.final["progress/tflop"] * 1e12 == pytest.approx(forecast_of(spec).total_flops, rel=1e-12)
    assert (record.final["drop/layers_kept"], record.final["saved/flops"]) == (TINY["layers"], 0)


@pytest.mark.parametrize("schedule", ["pld", ROWS])
def test_what_is_dropped_counts_by_each_steps_batch(
    schedule: str, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    spec = experiment(schedule=schedule, steps=40, batch={"sequences": {"0 %": 4, "50 %": 12}, "groups": 2})
    record = train(spec, execution(speed_probes=0, log_points=40, micro_batch=4), tmp_path / "run")
    sizes = np.repeat([4, 12], [20, 20])
    plan = Plan(spec.schedule, spec.seed, 40, spec.layers_at, 2, spec.batch.group_sizes_at(40))
    if schedule == "pld":
        kept = plan.kept(np.arange(40)).sum(axis=(1, 2)) / 2
    else:
        rows = plan.kept_rows(np.arange(40))
        assert rows.shape == (40, 2, 4, 2, 6) and not rows[:20, ..., 2:].any() and rows[20:, ..., 2:].any()
        first = plan.at(0, 0)
        assert isinstance(first, RowGates)
        assert [len(each) for each in first.rows] == rows[0, 0, :, 0].sum(axis=-1).tolist()
        kept = rows[:, :, :, 0].sum(axis=(1, 2, 3)) / sizes
    steps = [step_flops(spec.model, spec.data, Batch(sequences=int(size))) for size in sizes]
    executed = [each.block * count + each.fixed for each, count in zip(steps, kept, strict=True)]
    assert record.final["progress/tflop"] * 1e12 == pytest.approx(sum(executed), rel=1e-12)
    assert record.final["drop/layers_kept"] == pytest.approx(kept.mean(), rel=1e-12)
    blocks = sum(each.block * count for each, count in zip(steps, kept, strict=True))
    assert record.final["saved/block_flops"] == pytest.approx(1 - blocks / sum(4 * each.block for each in steps))
    assert [value for _, value in record.series["drop/layers_kept"]] == pytest.approx(kept.tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "learns"), [("fp32", "mlm"), ("fp16", "mlm"), ("fp32", "mlm+nsp"), ("fp32", "electra")]
)
def test_resumes_before_at_and_after_a_boundary_are_bit_identical(
    kind: str, learns: str, experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints each 4 steps, stages at 8 and 16. Killed -9 after step 9, a run has read a larger batch and goes on
    from before it did.
    """
    more = {} if learns == "mlm" else {"pretraining": {"kind": learns}}
    batch = {"sequences": STAGES, "groups": 2}
    spec = experiment(precision=kind, steps=STEPS, model=TINY, batch=batch, schedule="pld", **more)
    how = execution(checkpoint_every=4, keep_checkpoints=10, log_points=STEPS, speed_probes=2, micro_batch=2)
    assert run_child(spec, how, tmp_path / "killed", kill_at=9, scale=SCALE) == -signal.SIGKILL
    straight, resumed = resumed_around(spec, how, tmp_path, monkeypatch)
    for _, again in resumed:
        assert len(again.series["train/loss"]) == STEPS
        assert {name: again.final[name] for name in again.series} == {
            name: straight.final[name] for name in straight.series
        }


def test_micro_batches_change_no_more_than_rounding(experiment: Builder, execution: Executor, tmp_path: Path) -> None:
    model = {**TINY, "dropout": 0.0, "attention_dropout": 0.0}
    spec = experiment(steps=8, model=model, batch={"sequences": {"0 %": 4, "50 %": 12}, "groups": 2}, schedule="pld")
    whole, cut = (
        train(spec, execution(micro_batch=size, speed_probes=0), tmp_path / str(size)).series["train/loss"]
        for size in (6, 4)  # of two sequences of a group one micro-batch, of six two unequal ones
    )
    assert [value for _, value in cut] == pytest.approx([value for _, value in whole], rel=1e-5)


def test_what_cannot_run_is_refused_at_its_stage(experiment: Builder, execution: Executor) -> None:
    spec = experiment(steps=STEPS, batch={"sequences": {"0 %": 4, "40 %": 8}, "groups": 2})
    assert not check_ranks(spec, execution(), 2)
    (problem,) = check_ranks(spec, execution(), 4)
    assert str(problem).startswith(
        "batch.sequences.0 %: every rank takes an equal part of every group, and 2 groups x 4"
    )
    assert str(problem).endswith("allowed: a multiple of 8; given: 4")
    (problem,) = check_ranks(experiment(steps=STEPS, batch=spec.batch.model_dump(), schedule=ROWS), execution(), 2)
    assert "with 2 ranks it has 1 sequences; allowed: a divisor of 1; given: 2" in str(problem)
    said = r"batch\.sequences: seconds are measured for steps of one batch size, .*; allowed: one number; given: 4>8"
    with pytest.raises(ConfigError, match=said):
        measure(spec, execution(), seconds=0)
    many = experiment(steps=STEPS, batch={"sequences": {f"{25 * n} %": 4 * (n + 1) for n in range(4)}, "groups": 2})
    said = r"batch\.sequences: too many batch sizes to compile: .*; given: 2 x 16, 4 x 16, 6 x 16, 8 x 16"
    with pytest.raises(ConfigError, match=said):
        open_setup(many, execution(compile=True))
    assert open_setup(many, execution(compile=True, micro_batch=2)).flops.begins == (0, 5, 10, 15)
