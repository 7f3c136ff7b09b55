"""Growth in studies: domains of it, what it costs, what is refused at which line, and the shipped study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.costs.flops import step_flops
from pld_search.costs.run_cost import full_depth_flops
from pld_search.errors import ConfigError
from pld_search.spaces.domains import close
from pld_search.spaces.feasibility import probe
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver, forecast_metrics, forecast_of
from pld_search.spaces.study_identity import differences
from tests.spaces.broken import GOOD
from tests.spaces.test_load_study import prepared, problems, study

STAGES = "{0 %: 1, 30 %: 2, 60 %: 4}"
GROWTH = f"growth: {{stages: {STAGES}, weights: stack, moments: copy}}"


def grown(growth: str = GROWTH, text: str = GOOD) -> str:
    """The good study with growth in its template, and none in its systems."""
    return (
        text.replace("  schedule:\n", f"  {growth}\n  schedule:\n", 1)
        .replace("tune: 2}", "tune: 2, growth: null}")
        .replace("1e-3}", "1e-3, growth: null}")
    )


def test_a_system_has_its_own_or_none(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("optimizer.lr: 1e-3}", f"optimizer.lr: 1e-3, {GROWTH}}}"))
    resolver = Resolver(found, prepared(found))
    experiment = resolver.experiment(found.tree_of("pld"))
    assert experiment.growth is not None and experiment.growth.pairs == (("0 %", 1), ("30 %", 2), ("60 %", 4))
    assert resolver.experiment(close(found.tree_of("full"), {"optimizer.lr": 1e-3})).growth is None
    other = study(tmp_path, grown())
    assert Resolver(other, prepared(other)).experiment(other.tree_of("pld")).growth is None
    assert any("growth" in text for text in map(str, differences(found, other)))


def test_equal_flops_count_the_layers_there_are(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("optimizer.lr: 1e-3}", f"optimizer.lr: 1e-3, {GROWTH}}}"))
    experiment = Resolver(found, prepared(found)).experiment(found.tree_of("pld"))
    flops = step_flops(experiment.model, experiment.data, experiment.batch)
    budget, spent = full_depth_flops(flops, 4, 100), forecast_of(experiment).total_flops
    assert 0 <= budget - spent < flops.block * 4 + flops.fixed
    assert experiment.steps > 150
    assert forecast_metrics(experiment)["forecast/existing_layers_mean"] == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize(
    ("growth", "params", "sizes"),
    [
        ("growth: {stages: {0 %: {int: [1, 2]}, 50 %: 4}, weights: {choice: [stack, interleave]}, moments: copy}", {"growth.stages.0 %": 2, "growth.weights": "interleave"}, (2, 4)),
        ("growth.stages: {choice: {early: {0 %: 1, 10 %: 4}, late: {0 %: 2, 80 %: 4}}}\n  growth.weights: stack\n  growth.moments: reset", {"growth.stages": "late"}, (2, 4)),
        (
            "growth: {choice: {none: {stages: {0 %: 4}, weights: stack, moments: copy}, some: {stages: {0 %: {choice: [1, 2]}, 40 %: 4}, weights: fresh, moments: reset}}}",
            {"growth": "some", "growth.some.stages.0 %": 1},
            (1, 4),
        ),
    ],
    ids=["numbers and words", "stages", "the whole block, and inside a branch"],
)  # fmt: skip
def test_any_part_of_it_can_be_a_domain(
    growth: str, params: dict[str, Any], sizes: tuple[int, ...], tmp_path: Path
) -> None:
    found = study(tmp_path, grown(growth))
    assert set(params) <= set(found.parameters)
    own = {"optimizer.lr": 1e-3, "schedule": "rising", **params}
    experiment = Resolver(found, prepared(found)).experiment(close(found.experiment, own))
    assert experiment.layers_at.sizes == sizes  # type: ignore[union-attr]
    assert probe(found, prepared(found), points=20).unbuildable == ()


def test_one_search_over_growth_at_one_saving(tmp_path: Path) -> None:
    text = grown("growth: {stages: {0 %: {choice: [1, 2]}, 40 %: 4}, weights: stack, moments: copy}")
    found = study(
        tmp_path,
        text.replace(
            "temporal.rate: {log: [10 / run, 100 / run]}", "temporal: {kind: constant, value: {saving: 50 % of blocks}}"
        ),
    )
    resolver = Resolver(found, prepared(found))
    for first in (1, 2):
        own = {"optimizer.lr": 1e-3, "schedule": "falling", "growth.stages.0 %": first}
        assert forecast_of(resolver.experiment(close(found.experiment, own))).saved_block_flops == pytest.approx(
            0.5, abs=1e-6
        )


REFUSED = {
    "another depth": (
        GROWTH.replace("60 %: 4", "60 %: 8"),
        ["study.yaml:11:44: experiment.growth.stages.60 %: growth ends with 8 layers, the model has 4 (see also model.layers in line 3)"],
    ),
    "what copies cannot make": (
        GROWTH.replace("30 %: 2", "30 %: 3"),
        ["study.yaml:11:44: experiment.growth.stages.60 %: `weights: stack` repeats the 3 layers before: it reaches 6, 9, 12, ..., not 4; `weights: fresh` reaches any number"],
    ),
    "a typo": (
        GROWTH.replace("weights: stack", "wieghts: stack"),
        ["study.yaml:11:48: experiment.growth.wieghts: unknown key; allowed: stages | weights | moments; did you mean weights?"],
    ),
    "several": (
        "growth: {stages: {10 %: 1, 100 %: 4}, weights: fresh, moments: copy}",
        [
            "study.yaml:11:27: experiment.growth.stages.10 %: the beginning of the run is not covered: the first place is `0 %`",
            "study.yaml:11:37: experiment.growth.stages.100 %: begins at the end of the run, so that no step is left for its layers",
            "study.yaml:11:66: experiment.growth.moments: with `weights: fresh` nothing is copied, so new layers have no moments; `moments: reset`",
        ],
    ),
    "one bound of a domain": (
        "growth: {stages: {0 %: {int: [1, 3]}, 50 %: 4}, weights: stack, moments: copy}",
        ["study.yaml:11:47: experiment.growth.stages.50 %: `weights: stack` repeats the 3 layers before: it reaches 6, 9, 12, ..., not 4; `weights: fresh` reaches any number"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str, tmp_path: Path) -> None:
    growth, said = REFUSED[name]
    assert problems(tmp_path, grown(growth)) == said


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ("depth: {kind: table, values: [1, 1, 1, 0.5]}", "experiment.schedule.choice.falling.depth.values: a table of 4 layers, for a model of 1 layers, as it is in a stage of growth"),
        ("depth.always: [first, 4]", "experiment.schedule.choice.falling.depth.always[1]: there is no layer 4 in a model of 1 layers, as it is in a stage of growth"),
    ],
    ids=["table", "always"],
)  # fmt: skip
def test_a_schedule_that_does_not_fit_a_stage(depth: str, said: str, tmp_path: Path) -> None:
    text = GOOD.replace("falling: {base: pld,", f"falling: {{base: pld, {depth},")
    assert study(tmp_path, text).name == "good"
    (only,) = problems(tmp_path, grown(text=text))
    assert only.startswith("study.yaml:14:") and only.endswith(said)


def test_layers_that_are_not_there_are_found_without_growth_too(tmp_path: Path) -> None:
    text = GOOD.replace("falling: {base: pld,", "falling: {base: pld, depth.always: [first, 8],")
    assert problems(tmp_path, text) == [
        "study.yaml:13:50: experiment.schedule.choice.falling.depth.always[1]: there is no layer 8 in a model of 4 layers"
    ]


def test_places_beyond_the_run_are_told_with_their_line(tmp_path: Path) -> None:
    found = study(tmp_path, grown(GROWTH.replace("60 %", "5000 steps")))
    with pytest.raises(
        ConfigError,
        match=r"study.yaml:11:50: experiment.growth.stages.5000 steps: 5000 steps lies outside a run of \d+ steps",
    ):
        Resolver(found, prepared(found)).experiment(
            close(found.experiment, {"optimizer.lr": 1e-3, "schedule": "rising"})
        )


def test_the_reference_of_equal_flops_leaves_no_growth_open(tmp_path: Path) -> None:
    text = grown("growth: {stages: {0 %: {choice: [1, 2]}, 50 %: 4}, weights: stack, moments: copy}").replace(
        ", growth: null", "", 1
    )
    assert any("the reference leaves open what decides its FLOPs" in problem for problem in problems(tmp_path, text))


def test_a_checkpoint_does_not_grow(tmp_path: Path) -> None:
    text = grown().replace("{layers: 4, hidden: 32, heads: 4}", "{from: ./there}")
    assert problems(tmp_path, text)[0].startswith(
        "study.yaml:11:11: experiment.growth: a checkpoint brings all its layers (`model: {from: ...}`)"
    )


def test_progressive_stacking() -> None:
    found = load_study("progressive-stacking")
    resolver = Resolver(found, prepared(found))
    rows = {system.name: resolver.experiment(found.tree_of(system.name)) for system in found.systems}
    assert list(rows) == ["full", "shallow", "pld", "stack", "interleave", "fresh", "stack-pld"]
    assert {name: row.growth and (row.growth.weights, row.growth.moments) for name, row in rows.items()} == {
        "full": None,
        "shallow": None,
        "pld": None,
        "stack": ("stack", "copy"),
        "interleave": ("interleave", "copy"),
        "fresh": ("fresh", "reset"),
        "stack-pld": ("stack", "copy"),
    }
    spent = {name: forecast_of(row).total_flops for name, row in rows.items()}
    step = spent["full"] / rows["full"].steps
    assert all(0 <= spent["full"] - spent[name] < step for name in rows)
    assert forecast_of(rows["stack"]).saved_block_flops == pytest.approx(0.375, abs=0.002)
    assert rows["full"].steps == 300 < rows["pld"].steps < rows["stack"].steps < rows["stack-pld"].steps
