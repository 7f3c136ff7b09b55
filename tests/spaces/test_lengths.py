"""Length in stages in studies: domains of it, what it costs, what is refused at which line, and the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pld_search.costs.flops import run_flops
from pld_search.costs.run_cost import full_depth_flops
from pld_search.errors import ConfigError
from pld_search.spaces.domains import close
from pld_search.spaces.feasibility import probe
from pld_search.spaces.resolve import Resolver, SeveralKinds, forecast_of, refuse_unmeasured
from pld_search.spaces.study_schema import study_schema
from pld_search.spaces.trained_architectures import architectures
from pld_search.specs.yaml_io import load, plain
from tests.spaces.broken import GOOD
from tests.spaces.test_load_study import prepared, problems, study

STAGES = "{0 %: 32, 80 %: 64}"
SYSTEM = GOOD.replace("optimizer.lr: 1e-3}", f"optimizer.lr: 1e-3, data.length: {STAGES}}}")
OWN = {"optimizer.lr": 1e-3, "schedule": "rising"}


def test_equal_flops_and_tokens_count_each_step_by_its_length(tmp_path: Path) -> None:
    found = study(tmp_path, SYSTEM)
    full, longer = (
        Resolver(found, prepared(found)).experiment(tree)
        for tree in (close(found.tree_of("full"), OWN), found.tree_of("pld"))
    )
    flops = run_flops(longer.model, longer.data, longer.batch, longer.steps)
    left = full_depth_flops(run_flops(full.model, full.data, full.batch, 100), 4, 100) - forecast_of(longer).total_flops
    assert 0 <= left < flops.final.block * 4 + flops.final.fixed
    assert longer.data.length == (("0 %", 32), ("80 %", 64))
    tokens = study(tmp_path, SYSTEM.replace("{steps: 100, equal: flops}", "{tokens: 30000}"))
    read = forecast_of(Resolver(tokens, prepared(tokens)).experiment(tokens.tree_of("pld"))).tokens
    assert 30000 - 8 * 64 < read <= 30000


@pytest.mark.parametrize(
    ("length", "params", "sizes"),
    [
        ("{choice: [32, 64]}", {"data.length": 64}, (64,)),
        ("{0 %: 32, 80 %: {choice: [64, 128]}}", {"data.length.80 %": 128}, (32, 128)),
        ("{choice: {early: {0 %: 32, 20 %: 64}, late: {0 %: 32, 80 %: 64}}}", {"data.length": "late"}, (32, 64)),
    ],
)
def test_any_part_of_it_can_be_a_domain(
    length: str, params: dict[str, Any], sizes: tuple[int, ...], tmp_path: Path
) -> None:
    found = study(
        tmp_path,
        GOOD.replace("length: 32", f"length: {length}")
        .replace("1e-3}", "1e-3, data: {length: 32}}")
        .replace("tune: 2}", "tune: 3}")
        .replace("equal: flops", ""),
    )
    assert set(params) <= set(found.parameters)
    experiment = Resolver(found, prepared(found)).experiment(close(found.experiment, {**OWN, **params}))
    assert experiment.data.lengths_at(experiment.steps).sizes == sizes
    assert probe(found, prepared(found), points=20).unbuildable == ()


@pytest.mark.parametrize("form", ["40 % of blocks", "30 % of total", "like pld"])
def test_a_saving_at_several_lengths(form: str, tmp_path: Path) -> None:
    text = GOOD.replace("length: 32", f"length: {STAGES}").replace(
        "temporal.rate: {log: [10 / run, 100 / run]}", f"temporal.end: {{saving: {form}}}"
    )
    found = study(tmp_path, text)
    experiment = Resolver(found, prepared(found)).experiment(
        close(found.experiment, {"optimizer.lr": 1e-3, "schedule": "falling"})
    )
    forecast = forecast_of(experiment)
    assert {"40 % of blocks": forecast.saved_block_flops, "30 % of total": forecast.saved_flops}.get(
        form, 0.0
    ) == pytest.approx({"4": 0.4, "3": 0.3}.get(form[0], 0.0), abs=1e-5)


def test_seconds_are_refused(tmp_path: Path) -> None:
    said = r"experiment\.data\.length: seconds are measured for steps of one length, .*; given: 32>64"
    for budget in ("{seconds: 60}", "{steps: 100, equal: seconds}"):
        found = study(
            tmp_path, GOOD.replace("{steps: 100, equal: flops}", budget).replace("length: 32", f"length: {STAGES}")
        )
        with pytest.raises(SeveralKinds, match=said):
            Resolver(found, prepared(found)).experiment(found.tree_of("pld"))
        with pytest.raises(SeveralKinds, match=said):
            refuse_unmeasured(Resolver(found, prepared(found)))
    found = study(tmp_path, SYSTEM)
    with pytest.raises(SeveralKinds, match=said):
        architectures(Resolver(found, prepared(found)))
    assert "forecast/seconds" not in Resolver(found, prepared(found)).forecast(
        Resolver(found, prepared(found)).experiment(found.tree_of("pld"))
    )


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("{0 %: 64, 80 %: 32}", "experiment.data.length.80 %: 32 positions after 64: lengths rise"),
        (
            "{10 %: 32}",
            "experiment.data.length.10 %: the beginning of the run is not covered: the first place is `0 %`",
        ),
        (
            "{0 %: 32, 50 %: 1024}",
            "experiment.data.length.50 %: length (1024) exceeds model.max_length (512) of learned positions",
        ),
        (
            "{0 %: 32, 50 %: {choice: [16, 64]}}",
            "experiment.data.length.50 %.choice[0]: 16 positions after 32: lengths rise",
        ),
    ],
)
def test_what_is_refused_and_where(length: str, said: str, tmp_path: Path) -> None:
    (found,) = [
        line
        for line in problems(tmp_path, GOOD.replace("length: 32", f"length: {length}"))
        if "leaves open" not in line
    ]
    assert said in found and ":7:" in found


def test_stages_that_the_budget_does_not_reach_have_their_line(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("length: 32", "length: {0 %: 32, 5000 steps: 64}"))
    with pytest.raises(
        ConfigError, match=r"7:\d+: experiment\.data\.length\.5000 steps: 5000 steps lies outside a run of 1\d\d steps"
    ):
        Resolver(found, prepared(found)).experiment(found.tree_of("pld"))


@pytest.mark.parametrize(
    ("length", "valid"), [(32, True), ({"0 %": 32, "90 %": 64}, True), ([["0 %", 32], ["90 %", 64]], True), ({"choice": [32, 64]}, True), (4, False), ({"0 %": 4}, False), ("32", False)]
)  # fmt: skip
def test_the_schema_knows_both_forms(length: Any, valid: bool) -> None:
    tree = plain(load(GOOD, "s"))
    tree["experiment"]["data"]["length"] = length
    assert Draft202012Validator(study_schema()).is_valid(tree) == valid
