"""`batch.sequences` as written: one or in stages, what it means, what it costs, and every way it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pld_search.costs.budget import steps_within, steps_within_tokens
from pld_search.costs.flops import run_flops, step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.memory import memory_of
from pld_search.costs.run_cost import expected_flops, forecast
from pld_search.errors import ConfigError
from pld_search.frozen import canonical_json
from pld_search.schedules.rising_stages import StagesAt
from pld_search.schedules.staged_values import stages_text
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Batch, Data, Experiment
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load
from tests.costs.examples import DATA, MODEL

STAGES = {"0 %": 8, "20 %": 32}


def experiment(sequences: Any, steps: int = 10, **more: Any) -> Experiment:
    fields = {"model": MODEL, "data": DATA, "optimizer": {"lr": 1e-3}, "precision": "fp32"}
    fields |= {"schedule": load_schedule("full"), "steps": steps, "batch": {"sequences": sequences, "groups": 2}}
    return Experiment.model_validate(fields | more)


def test_stages_are_steps_of_a_run() -> None:
    found = Batch(sequences=STAGES, groups=2)
    assert found.sizes_at(10) == StagesAt((0, 2), (8, 32))
    assert found.group_sizes_at(10) == StagesAt((0, 2), (4, 16))
    assert (found.sizes, found.most, found.per_group, found.group_sizes) == ((8, 32), 32, 16, (4, 16))
    one = Batch(sequences=32, groups=2)
    assert (one.sizes_at(10), one.group_sizes_at(10), one.group_sizes) == (StagesAt((0,), (32,)), 16, (16,))
    assert [stages_text(each.sequences) for each in (one, found)] == ["32", "8>32"]
    assert found.of(32) == one and one.of(32) is one


def test_one_size_is_written_and_hashed_as_ever() -> None:
    plain = experiment(32)
    assert plain.model_dump(mode="json")["batch"] == {"sequences": 32, "groups": 2}
    staged = experiment(STAGES)
    assert json.loads(canonical_json(staged.batch))["sequences"] == [["0 %", 8], ["20 %", 32]]
    assert Experiment.model_validate(staged.model_dump(mode="json")) == staged
    assert Batch.model_validate_json(staged.batch.model_dump_json()) == staged.batch
    assert len({each.digest for each in (plain, staged, experiment({"0 %": 8, "30 %": 32}))}) == 3


def test_each_step_costs_what_its_own_batch_costs() -> None:
    batch = Batch(sequences=STAGES, groups=2)
    found = run_flops(MODEL, DATA, batch, 10)
    small, large = (step_flops(MODEL, DATA, Batch(sequences=size)) for size in (8, 32))
    assert (found.begins, found.each) == ((0, 2), (small, large))
    assert 4 * small.block == large.block and 4 * small.fixed == large.fixed
    full = load_schedule("full")
    cost = forecast(full, MODEL, DATA, batch, 10)
    assert cost.tokens == (2 * 8 + 8 * 32) * DATA.final_length
    assert cost.total_flops == 2 * (small.block * MODEL.layers + small.fixed) + 8 * (
        large.block * MODEL.layers + large.fixed
    )
    spent = expected_flops(full, found, MODEL.layers, 10)
    assert steps_within(spent, lambda _: full, MODEL, DATA, batch) == 10
    assert steps_within(spent - 1, lambda _: full, MODEL, DATA, batch) == 9
    assert steps_within_tokens(cost.tokens, DATA, batch) == 10
    assert steps_within_tokens(cost.tokens - 1, DATA, batch) == 9


def test_it_meets_stages_of_length_and_of_masking() -> None:
    data = Data.model_validate(
        {**DATA.model_dump(), "length": {"0 %": 16, "50 %": 32}, "masking": {"rate": {"0 %": 0.3, "80 %": 0.15}}}
    )
    batch = Batch(sequences=STAGES)
    found = run_flops(MODEL, data, batch, 10)
    assert found.begins == (0, 2, 5, 8)
    assert found.each[1] == step_flops(MODEL, data.with_rate(0.3), Batch(sequences=32), 16)
    assert forecast(load_schedule("full"), MODEL, data, batch, 10).tokens == 2 * 8 * 16 + 3 * 32 * 16 + 5 * 32 * 32


def test_a_saving_and_memory_are_of_the_largest_batch_and_each_step() -> None:
    pld = load_schedule("pld")
    staged = forecast(pld, MODEL, DATA, Batch(sequences=STAGES), 1000)
    first, rest = (forecast(pld, MODEL, DATA, Batch(sequences=size), 1000) for size in (8, 32))
    assert first.saved_block_flops == rest.saved_block_flops != staged.saved_block_flops
    # pld keeps more at the start, where the batch is small: what is left out later weighs more
    assert staged.saved_block_flops > rest.saved_block_flops
    how = Execution(device="cpu")
    assert memory_of(experiment(STAGES), how, 8) == memory_of(experiment(32), how, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sequences: {5 %: 8}",
            "1:18: sequences.5 %: the beginning of the run is not covered: the first place is `0 %`",
        ),
        ("sequences: {0 %: 8, 0 %: 16}", "1:21: sequences.0 %"),
        ("sequences: {0 %: 32, 50 %: 8}", "1:28: sequences.50 %: 8 sequences after 32: a batch grows"),
        ("sequences: {0 %: 8, 100 %: 16}", "no step is left for its batches"),
        ("sequences: {0 %: 0, 50 %: 8}", "1:18: sequences.0 %: out of range; allowed: >= 1; given: 0"),
        ("sequences: {0 %: 8, 50 %: 1.5}", "sequences.50 %: needs a whole number"),
        ("sequences: 0", "1:12: sequences: out of range; allowed: >= 1; given: 0"),
        (
            "{groups: 4, sequences: {0 %: 8, 50 %: 18, 70 %: 22}}",
            "1:39: sequences.50 %: 18 must be a multiple of groups (4)",
        ),
        ("{groups: 4, sequences: 6}", "sequences (6) must be a multiple of groups (4)"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(Batch, load(text + "\n", "b"))
    assert any(said in str(problem) for problem in caught.value.problems), caught.value.problems


def test_stages_that_a_run_does_not_have_and_groups_without_whole_strata() -> None:
    with pytest.raises(ValueError, match="20 steps lies outside a run of 10 steps"):
        experiment({"0 %": 8, "20 steps": 32})
    rows = load_schedule(
        {"base": "pld", "draw": {"kind": "bernoulli", "per": "sequence", "strata": 8, "unit": "layer"}}
    )
    assert experiment({"0 %": 16, "20 %": 32}, schedule=rows).batch.group_sizes == (8, 16)
    with pytest.raises(ValueError, match="a group of 4 sequences is not a multiple of 8"):
        experiment({"0 %": 8, "20 %": 32}, schedule=rows)
