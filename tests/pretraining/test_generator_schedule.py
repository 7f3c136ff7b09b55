"""A generator that drops layers by a schedule of its own: what is counted, forecast, updated, resumed and refused."""

from __future__ import annotations

import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.budget import steps_within
from pld_search.costs.flops import run_flops, step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.run_cost import executed_std, full_depth_flops
from pld_search.costs.rung_steps import rung_steps, spent_between
from pld_search.errors import ConfigError
from pld_search.model.build_model import pretraining_model
from pld_search.model.electra import PldElectra
from pld_search.pretraining.electra import ReplacedTokens
from pld_search.spaces.resolve import forecast_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Batch, Experiment
from pld_search.specs.pretraining import Electra
from pld_search.training.measure_profile import measure
from pld_search.training.setup import open_setup
from pld_search.training.state import fresh
from pld_search.training.step import train_step
from pld_search.training.train_run import train
from tests.model.helpers import gates, spec
from tests.pretraining.test_electra import CALM, DATA
from tests.spaces.broken import GOOD
from tests.spaces.test_load_study import problems, study
from tests.training.resumes import resumed_around
from tests.training.test_resume import SCALE, run_child

Builder = Callable[..., Experiment]
Executor = Callable[..., Execution]
HALF = {"kind": "constant", "value": 0.5}
LOWEST = {"kind": "lowest", "per": "group", "unit": "layer"}
ALWAYS_ONE = {"base": "pld", "temporal": HALF, "depth": {"kind": "uniform"}, "draw": LOWEST, "rescale": "none"}
"""The first of two layers, at every step: nothing is left to chance."""
ROWS = {"base": "pld", "draw": {"kind": "bernoulli", "per": "sequence", "strata": 4, "unit": "sublayer"}}


def electra(schedule: Any, **more: Any) -> dict[str, Any]:
    written = load_schedule(schedule).model_dump(mode="json") if schedule != "full" else schedule
    return {"kind": "electra", "generator": {"width": 0.5, "schedule": written, **more}}


def test_flops_are_those_of_the_layers_that_run_in_both_networks() -> None:
    model, sequences = spec(norm="pre"), 6
    learns = Electra.model_validate(electra("pld"))
    network = pretraining_model(PldElectra, model, **ReplacedTokens(learns).model_settings(model)).train()
    ids = torch.randint(4, model.vocabulary, (sequences, 20))
    places = torch.arange(1, 1 + DATA.predictions(20)).expand(sequences, -1)
    given = {"positions": places, "labels": ids.gather(1, places), "words": torch.randint(0, 2**32, places.shape)}
    forecast = step_flops(model, DATA, Batch(sequences=sequences), pretraining=learns)
    whole = step_flops(model, DATA, Batch(sequences=sequences), pretraining=Electra(kind="electra"))
    assert forecast.rest < whole.rest or sum(forecast.second) > 0
    for own, other in (("111", "111"), ("010", "100"), ("000", "101"), ("111", "000")):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            found = network(ids, **given, gates=gates(own, 2.0), generator_gates=gates(other, 1.5))
            (found.mlm_loss + 50 * found.rtd_loss).backward()
        layers = own.count("1") * forecast.block + other.count("1") * sum(forecast.second)
        assert counter.get_total_flops() == layers + forecast.fixed


def test_the_forecast_is_what_runs_where_nothing_is_left_to_chance(
    experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    what = experiment(schedule="full", steps=8, model=CALM, pretraining=electra(ALWAYS_ONE))
    whole = experiment(schedule="full", steps=8, model=CALM, pretraining=electra("full"))
    record = train(what, execution(speed_probes=2), tmp_path / "run")
    cost, at_full_depth = forecast_of(what), forecast_of(whole)
    assert record.final["progress/tflop"] * 1e12 == pytest.approx(cost.total_flops, rel=1e-12)
    second = sum(run_flops(what.model, what.data, what.batch, 8, what.pretraining).final.second)
    assert at_full_depth.total_flops - cost.total_flops == 8 * second > 0
    assert record.final["saved/flops"] == pytest.approx(8 * second / at_full_depth.total_flops, rel=1e-9)
    assert record.final["saved/flops"] == pytest.approx(cost.saved_flops, rel=1e-9)
    assert record.final["saved/block_flops"] == cost.saved_block_flops == 0
    assert cost.total_flops == pytest.approx(cost.block_flops + cost.head_flops + cost.rest_flops, rel=1e-12)
    assert (
        what.digest
        != whole.digest
        == experiment(
            schedule="full", steps=8, model=CALM, pretraining={"kind": "electra", "generator": {"width": 0.5}}
        ).digest
    )


@pytest.mark.parametrize("schedule", ["pld", ROWS])
def test_executed_flops_are_those_of_both_plans(
    schedule: Any, experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    batch = {"sequences": {"0 %": 8, "50 %": 16}, "groups": 2}
    what = experiment(schedule="pld", steps=12, model=CALM, batch=batch, pretraining=electra(schedule))
    setup = open_setup(what, execution())
    assert setup.second_plan is not None and setup.second_plan.seed != setup.plan.seed
    flops = run_flops(what.model, what.data, what.batch, 12, what.pretraining)
    spent = 0.0
    for step in range(12):
        each, size = flops.each[flops.number(step)], setup.group_size(step)
        own = setup.plan.kept([step]).sum() / 2
        if schedule == "pld":
            second = setup.second_plan.kept([step]).sum() / 2 * sum(each.second)
        else:
            rows = setup.second_plan.kept_rows([step]).sum(axis=(0, 1, 2, 4)) / (2 * size)
            second = float(rows @ np.array(each.second))
        spent += own * each.block + second + each.fixed
    record = train(what, execution(speed_probes=0, micro_batch=4), tmp_path / "run")
    assert record.final["progress/tflop"] * 1e12 == pytest.approx(spent, rel=1e-12)
    full = full_depth_flops(flops, what.model.layers, 12)
    assert record.final["saved/flops"] == pytest.approx(1 - spent / full, rel=1e-9)


def test_budgets_savings_rungs_and_spread_count_both(experiment: Builder) -> None:
    what = experiment(schedule="pld", steps=200, model=CALM, pretraining=electra("pld"))
    alone = experiment(schedule="pld", steps=200, model=CALM, pretraining=electra("full"))
    cost, shapes = forecast_of(what), (what.model, what.data, what.batch)
    assert spent_between(what, 0, 200) == pytest.approx(cost.total_flops, rel=1e-12)
    (half,) = rung_steps(what, [Decimal("0.5")])
    assert spent_between(what, 0, half) >= cost.total_flops / 2 > spent_between(what, 0, half - 1)
    steps = steps_within(cost.total_flops, lambda _: what.schedule, *shapes, pretraining=what.pretraining)
    assert (
        steps == 200 > steps_within(cost.total_flops, lambda _: what.schedule, *shapes, pretraining=alone.pretraining)
    )
    assert cost.step_flops_std > forecast_of(alone).step_flops_std
    flops = [run_flops(*shapes, 200, each.pretraining) for each in (what, alone)]
    spreads = [executed_std(what.schedule, each, what.model.layers, 200, 2) for each in flops]
    assert spreads[0] > spreads[1]
    tree = {"base": "pld", "temporal.end": {"saving": "25 % of total"}}
    solved = load_schedule(tree, layers=2, steps=200, flops=flops[0])
    saved = forecast_of(what.model_copy(update={"schedule": solved})).saved_flops
    assert saved == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("skipped", ["freeze", "decay", "zero_grad"])
def test_what_becomes_of_a_skipped_layer_of_the_generator(
    skipped: str, experiment: Builder, execution: Executor
) -> None:
    learns = electra({**ALWAYS_ONE, "skipped": skipped})
    setup = open_setup(experiment(schedule="full", steps=4, model=CALM, pretraining=learns), execution())
    state = fresh(setup)
    first, second = state.model.second_blocks
    before = [{name: value.detach().clone() for name, value in block.named_parameters()} for block in (first, second)]
    for step in range(2):
        train_step(setup, state, step, setup.batch_at(step))
    moved = [
        {name: not torch.equal(value, old[name]) for name, value in block.named_parameters()}
        for block, old in zip((first, second), before, strict=True)
    ]
    assert all(moved[0].values())
    matrices = {name: value.ndim >= 2 for name, value in second.named_parameters()}
    assert moved[1] == (dict.fromkeys(moved[1], False) if skipped == "freeze" else matrices)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_killed_run_goes_on_bit_by_bit(
    precision: str, experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learns = electra({"base": "pld", "skipped": "decay"})
    what = experiment(precision=precision, steps=20, model=CALM, schedule="pld", pretraining=learns)
    how = execution(checkpoint_every=4, keep_checkpoints=10, log_points=20, speed_probes=2, micro_batch=2)
    assert run_child(what, how, tmp_path / "killed", kill_at=9, scale=SCALE) == -signal.SIGKILL
    straight, resumed = resumed_around(what, how, tmp_path, monkeypatch)
    assert resumed and all(again.final["saved/flops"] == straight.final["saved/flops"] for _, again in resumed)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("pdl", "experiment.pretraining.generator.schedule: no schedule"),
        ("{base: pld, rescale: evaluation}", "experiment.pretraining.generator.schedule.rescale: the generator is"),
        (
            "{base: pld, temporal.end: {saving: 25 % of blocks}}",
            "experiment.pretraining.generator.schedule.temporal.end: the generator's schedule states its numbers",
        ),
        ("{base: pld, temporal.end: 1.7}", "experiment.pretraining.generator.schedule.temporal.end: "),
        (
            "{base: pld, depth: {kind: table, keep: [0.5, 0.5, 0.5]}}",
            "experiment.pretraining.generator.schedule.depth",
        ),
    ],
)
def test_what_is_refused_and_where(schedule: str, said: str, tmp_path: Path) -> None:
    line = f"  pretraining: {{kind: electra, generator: {{schedule: {schedule}}}}}\n"
    text = GOOD.replace("  schedule:", line + "  schedule:", 1)
    assert text != GOOD
    found = problems(tmp_path, text)
    assert any(said in problem for problem in found), found


def test_a_name_a_change_and_full_are_read_from_a_study(tmp_path: Path) -> None:
    trees = []
    for number, written in enumerate(("pld", "{base: pld, temporal.end: 0.7}", "full")):
        line = f"  pretraining: {{kind: electra, generator: {{schedule: {written}}}}}\n"
        folder = tmp_path / str(number)
        folder.mkdir()
        trees.append(study(folder, GOOD.replace("  schedule:", line + "  schedule:", 1)).tree_of("pld"))
    held = [Electra.model_validate(dict(tree["pretraining"])).generator.schedule for tree in trees]
    assert held[0] is not None and held[0] == load_schedule("pld")
    assert held[1] is not None and held[1].temporal.model_dump()["end"] == 0.7
    assert held[2] is None


def test_seconds_are_refused(experiment: Builder, execution: Executor) -> None:
    what = experiment(pretraining=electra("pld"), model=CALM)
    said = r"pretraining\.generator\.schedule: seconds are measured with the whole generator, .*; given: pld"
    with pytest.raises(ConfigError, match=said):
        measure(what, execution(), seconds=0)
