"""Studies: loading, changing, storing, comparing, resolving, probing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import ConfigError
from pld_search.schedules.library import shipped
from pld_search.spaces.domains import close, variants
from pld_search.spaces.feasibility import probe
from pld_search.spaces.load_study import Study, load_study
from pld_search.spaces.resolve import Resolver, forecast_metrics, forecast_of, resolve
from pld_search.spaces.study_identity import differences, identity
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.experiment import Experiment
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.tree_changes import set_tree
from pld_search.specs.validate import check
from tests.spaces.broken import GOOD

ABLATION = GOOD.replace("{log: [1e-4, 1e-2]}", "1e-3").replace("tune: 2", "seeds: 2")
ABLATION = ABLATION[: ABLATION.index("search:")]


def study(tmp_path: Path, text: str = GOOD, sets: tuple[str, ...] = ()) -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(file, sets)


def prepared(found: Study) -> Prepared:
    return stand_in(check(ExperimentTemplate, variants(found.experiment)[0]))


def problems(tmp_path: Path, text: str, sets: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        study(tmp_path, text, sets)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_what_a_study_holds(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert list(found.parameters) == ["optimizer.lr", "schedule", "schedule.falling.temporal.rate"]
    assert list(found.system("full").parameters) == ["optimizer.lr"]
    assert (found.system("full").tune, found.system("pld").tune, found.seeds_of("full"), found.seeds_of(None)) == (
        2,
        None,
        1,
        1,
    )
    assert found.system("pld").changes == {"schedule": "pld", "optimizer": {"lr": 1e-3}}
    assert [objective.metric for objective in found.objectives] == ["valid/loss"]
    assert found.constraints[0].name == "divergence/diverged"
    assert found.base == str(tmp_path)


def test_an_ablation_may_leave_open_what_every_system_closes(tmp_path: Path) -> None:
    text = ABLATION.replace("pld: {schedule: pld, optimizer.lr: 1e-3}", "pld: {schedule: pld}")
    found = study(tmp_path, text)
    assert found.search is None
    assert "schedule" in found.parameters
    assert all(not system.parameters for system in found.systems)
    assert found.seeds_of("full") == 2


def test_a_template_that_every_system_completes(tmp_path: Path) -> None:
    start, end = ABLATION.index("  schedule:\n"), ABLATION.index("budget:")
    assert len(study(tmp_path, ABLATION[:start] + ABLATION[end:]).systems) == 2


def test_one_run(tmp_path: Path) -> None:
    text = ABLATION[: ABLATION.index("  schedule:\n")] + "  schedule: pld\nbudget: {steps: 7}\n"
    found = study(tmp_path, text)
    experiment = resolve(found, found.tree_of(None), prepared(found), seed_index=3)
    assert (experiment.steps, experiment.seed, found.name) == (7, 3, "good")
    assert problems(tmp_path, text.replace("schedule: pld", "schedule: {choice: [pld, full]}")) == [
        "study.yaml:11:13: experiment.schedule: an open domain in a study that neither searches nor compares systems; "
        "give a value, or search: {trials: N}; given: schedule"
    ]


def test_sets_start_at_the_experiment_but_for_the_words_of_a_study(tmp_path: Path) -> None:
    sets = (
        "model.layers=6",
        "experiment.model.heads=2",
        "budget.steps=50",
        "search.trials=9",
        "systems.pld.optimizer.lr=0.5",
        "name=other",
    )
    found = study(tmp_path, sets=sets)
    assert (found.experiment["model"]["layers"], found.experiment["model"]["heads"], found.name) == (6, 2, "other")
    assert found.budget.steps == 50
    assert found.budget.equal == "flops"
    assert found.search is not None
    assert found.search.trials == 9
    assert found.system("pld").tree["optimizer"]["lr"] == 0.5
    assert found.system("pld").tree["model"]["layers"] == 6


def test_sets_replace_domains_and_schedules(tmp_path: Path) -> None:
    assert list(study(tmp_path, sets=("optimizer.lr=1e-3", "systems.full.tune=")).parameters) == [
        "schedule",
        "schedule.falling.temporal.rate",
    ]
    assert (
        study(tmp_path, sets=("systems.pld.schedule.temporal.end=0.9",))
        .system("pld")
        .tree["schedule"]["temporal"]["end"]
        == 0.9
    )
    assert study(tmp_path, sets=("budget.tokens=4096",)).budget.steps is None


def test_a_bad_set_is_marked_as_one(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD, ("model.layer=6", "confirm.tops=3")) == [
        "--set:1:1: experiment.model.layer: unknown key; allowed: layers | hidden | heads | intermediate | "
        "norm | positions | max_length | dropout | "
        "attention_dropout | embedding_std | init_std | rope_base | feed_forward | norm_kind | bias | "
        "qk_norm | attention | tie_embeddings | depth_scaled_norm | token_types | first_norm; did you mean layers?",
        "--set:2:1: confirm.tops: unknown key; allowed: top | seeds; did you mean top?",
    ]


def test_which_system_a_problem_of_the_template_comes_from(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD.replace("optimizer.lr: 1e-3}", "optimizer.lr: 1e-3, model.heads: 5}")) == [
        "study.yaml:3:10: experiment.model: hidden (32) must be a multiple of heads (5) (in pld)"
    ]


def test_the_reference_of_an_equal_budget_has_settled_costs(tmp_path: Path) -> None:
    text = GOOD.replace("layers: 4", "layers: {int: [2, 4]}").replace(
        "optimizer.lr: 1e-3}", "optimizer.lr: 1e-3, model.layers: 4}"
    )
    (problem,) = problems(tmp_path, text)
    assert "systems.full: the reference leaves open what decides its FLOPs" in problem
    assert study(tmp_path, text.replace(", equal: flops", "")).budget.equal is None


@pytest.mark.parametrize(
    "branch",
    [
        "{small: {length: 32, train: demo}, large: {length: 64}}",
        "{small: {tokenizer: {train: wordpiece, vocabulary: 600}}}",
    ],
)
def test_branches_change_nothing_that_all_share(tmp_path: Path, branch: str) -> None:
    found = problems(
        tmp_path,
        GOOD.replace(
            "  data:\n    train: demo\n    tokenizer: {train: wordpiece, vocabulary: 512}\n    length: 32\n",
            f"  data: {{choice: {branch}}}\n",
        ),
    )
    assert any("a domain cannot stand here: results would not be comparable" in problem for problem in found)


def test_an_experiment_from_another_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    block = GOOD[GOOD.index("  model:") : GOOD.index("budget:")].replace(
        "train: demo", "train: {text: [./a/*.txt, named/b.txt]}"
    )
    (tmp_path / "inner" / "block.yaml").write_text("".join(line[2:] for line in block.splitlines(keepends=True)))
    rest = "experiment: ./inner/block.yaml\n" + GOOD[GOOD.index("budget:") :]
    found = study(tmp_path, rest, ("model.layers=2",))
    assert found.experiment["data"]["train"]["text"] == [f"{tmp_path}/inner/a/*.txt", "named/b.txt"]
    assert found.experiment["model"]["layers"] == 2
    (tmp_path / "inner" / "block.yaml").write_text("model: {layers: 0}\n")
    assert any(problem.startswith("inner/block.yaml:1:17: ") for problem in problems(tmp_path, rest))
    assert problems(tmp_path, rest.replace("./inner/block.yaml", "./none.yaml"))[0].startswith(
        "study.yaml:1:13: experiment: no such experiment"
    )


def test_precision_is_fixed_for_a_device(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert found.fixed("cuda").experiment["precision"] == "fp16"
    assert {system.tree["precision"] for system in found.fixed("cpu").systems} == {"fp32"}
    assert found.fixed("cpu").fixed("cuda") == found.fixed("cpu")
    assert resolve(found, found.tree_of("pld"), prepared(found), device_kind="cuda").precision == "fp16"


def test_a_study_comes_back_from_its_definition(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("schedule: pld, o", "schedule: td-only, o")).fixed("cpu")
    again = Study.from_definition(json.loads(json.dumps(found.definition())))
    assert again == found
    assert identity(again) == identity(found)
    assert differences(found, again) == []
    assert resolve(again, again.tree_of("pld"), prepared(again)) == resolve(
        found, found.tree_of("pld"), prepared(found)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trials: 3", "trials: 9"),
        ("tune: 2", "tune: 4"),
        ("name: good", "name: better\nabout: text"),
        ("reference: full", "reference: full\nseeds: 3"),
    ],
)
def test_what_a_continued_study_may_change(tmp_path: Path, old: str, new: str) -> None:
    before, after = study(tmp_path), study(tmp_path, GOOD.replace(old, new))
    assert differences(before, after) == []
    assert identity(before) == identity(after)


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("layers: 4", "layers: 5", "experiment.model.layers: 4 -> 5", "experiment"),
        ("warmup: 2 %", "warmup: 2 %, clip: 2", "experiment.optimizer.clip: nothing -> 2", "experiment"),
        (
            "10 / run",
            "20 / run",
            "experiment.schedule.choice.falling.temporal.rate.log[0]: 10 / run -> 20 / run",
            "experiment",
        ),
        ("steps: 100", "steps: 200", "budget.steps: 100 -> 200", "budget"),
        ("optimizer.lr: 1e-3", "optimizer.lr: 2e-3", "systems.pld.optimizer.lr: 0.001 -> 0.002", "systems.pld"),
        ("  pld: {schedule: pld, optimizer.lr: 1e-3}\n", "", "systems.pld: removed", "systems.pld"),
        ("reference: full", "reference: pld", "reference: full -> pld", "reference"),
        ("trials: 3,", "trials: 3, sampler: random,", "sampler.sampler: auto -> random", "sampler"),
        ("trials: 3,", "trials: 3, seed: 1,", "sampler.seed: 0 -> 1", "sampler"),
        (
            "trials: 3,",
            "trials: 3, objective: {maximize: demo/average},",
            "objective[0].maximize: nothing -> demo/average",
            "objective",
        ),
        (
            "diverged == 0]",
            "diverged == 0, saved/flops >= 0.1]",
            "constraints[1]: nothing -> saved/flops >= 0.1",
            "constraints",
        ),
    ],
)
def test_what_it_may_not(tmp_path: Path, old: str, new: str, line: str, part: str) -> None:
    before, after = study(tmp_path), study(tmp_path, GOOD.replace(old, new))
    assert line in differences(before, after)
    assert identity(before).get(part) != identity(after).get(part)
    if part != "experiment":
        assert {name for name in identity(before) if identity(before)[name] != identity(after).get(name)} == {part}


def test_a_change_of_the_template_is_told_once(tmp_path: Path) -> None:
    assert differences(study(tmp_path), study(tmp_path, GOOD.replace("layers: 4", "layers: 5"))) == [
        "experiment.model.layers: 4 -> 5"
    ]


def test_systems_may_be_added_and_none_removed(tmp_path: Path) -> None:
    before = study(tmp_path)
    more = GOOD.replace(
        "systems:\n",
        "systems:\n  late: {schedule: {base: pld, temporal.end: {saving: like linear}}, optimizer.lr: 1e-3}\n",
    )
    assert more != GOOD
    after = study(tmp_path, more)
    assert differences(before, after) == []
    assert "systems.late: removed" in differences(after, before)


def test_less_is_a_difference(tmp_path: Path) -> None:
    before = study(tmp_path, GOOD + "seeds: 3\n")
    after = study(tmp_path, GOOD.replace("trials: 3", "trials: 1").replace("tune: 2", "tune: 1") + "seeds: 2\n")
    assert set(differences(before, after)) == {
        "seeds: 3 -> 2 (only more can be added)",
        "search.trials: 3 -> 1 (only more can be added)",
        "systems.full.tune: 2 -> 1 (only more can be added)",
        "systems.full.seeds: 3 -> 2 (only more can be added)",
        "systems.pld.seeds: 3 -> 2 (only more can be added)",
    }


def built(found: Study, system: str) -> Experiment:
    return Resolver(found, prepared(found)).experiment(variants(found.tree_of(system))[0])


def test_equal_flops(tmp_path: Path) -> None:
    found = study(tmp_path)
    full, pld = built(found, "full"), built(found, "pld")
    assert full.steps == 100
    assert pld.steps > 100
    spent = forecast_of(pld).total_flops
    assert spent <= forecast_of(full).total_flops < spent + 2 * spent / pld.steps


@pytest.mark.parametrize(
    ("budget", "full", "pld"),
    [
        ("{steps: 50}", 50, 50),
        ("{steps: 50, equal: steps}", 50, 50),
        ("{tokens: 5000}", 5000 // (8 * 32), 5000 // (8 * 32)),
        ("{tokens: 5000, equal: steps}", 19, 19),
    ],
)
def test_other_budgets(tmp_path: Path, budget: str, full: int, pld: int) -> None:
    found = study(tmp_path, GOOD.replace("{steps: 100, equal: flops}", budget))
    assert (built(found, "full").steps, built(found, "pld").steps) == (full, pld)


def test_a_budget_of_flops_is_everyones_own(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("{steps: 100, equal: flops}", "{flops: 1e10}"))
    full, pld = built(found, "full"), built(found, "pld")
    assert full.steps < pld.steps
    assert max(forecast_of(experiment).total_flops for experiment in (full, pld)) <= 1e10


@pytest.mark.parametrize("budget", ["{tokens: 100}", "{flops: 10}"])
def test_a_budget_that_buys_no_step(tmp_path: Path, budget: str) -> None:
    with pytest.raises(ConfigError, match=r"budget.*the budget buys no step"):
        built(study(tmp_path, GOOD.replace("{steps: 100, equal: flops}", budget)), "full")


def test_equal_savings_are_solved(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("schedule: pld, o", "schedule: td-only, o"))
    assert list(found.references) == ["pld"]
    kept = [
        forecast_of(built(study(tmp_path, text), "pld")).expected_layers_mean
        for text in (GOOD, GOOD.replace("schedule: pld, o", "schedule: td-only, o"))
    ]
    assert kept[0] == pytest.approx(kept[1], rel=1e-6)


def test_a_saving_like_a_file_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\ntemporal.end: 0.8\n")
    text = GOOD.replace("{schedule: pld, o", "{schedule: {base: random, temporal.value: {saving: like ./mine.yaml}}, o")
    found = study(tmp_path, text)
    assert list(found.references) == [f"{tmp_path}/mine.yaml"]
    assert built(found, "pld").schedule.temporal.lowest > 0.8
    assert (
        "a saving is a share of blocks or of the total, or that of another schedule"
        in problems(tmp_path, text.replace("like ./mine.yaml", "10 %"))[0]
    )
    assert "no schedule of this name" in problems(tmp_path, text.replace("like ./mine.yaml", "like pdl"))[0]


def test_names_of_schedules(tmp_path: Path) -> None:
    found = study(tmp_path)
    names = {tree["schedule"]["name"] for tree in variants(found.experiment)}
    assert names == {"falling", "rising"}
    listed = study(
        tmp_path,
        ABLATION[: ABLATION.index("  schedule:\n")]
        + "  schedule: {choice: [pld, full]}\n"
        + GOOD[GOOD.index("budget:") :].replace("tune: 2", "optimizer.lr: 1e-3"),
    )
    assert {tree["schedule"]["name"] for tree in variants(listed.experiment)} == {"pld", "full"}


def test_a_probe_finds_what_cannot_be_built(tmp_path: Path) -> None:
    text = GOOD.replace("hidden: 32", "hidden: {int: [32, 64], step: 4}").replace(
        "heads: 4", "heads: {int: [4, 8], step: 4}"
    )
    text = text.replace(
        "systems:\n", "systems:\n  other: {schedule: full, optimizer.lr: 1e-3, model.hidden: 32, model.heads: 4}\n"
    )
    text = text.replace(
        "full: {schedule: full, tune: 2}", "full: {schedule: full, tune: 2, model.hidden: 32, model.heads: 4}"
    )
    text = text.replace("lr: 1e-3}\nreference", "lr: 1e-3, model.hidden: 32, model.heads: 4}\nreference")
    found = study(tmp_path, text)
    seen = probe(found, prepared(found), points=60)
    assert seen.tried == 60 + 60 + 2  # the search, the tuned system, two closed systems
    assert seen.unbuildable
    assert all(
        bad.system is None and bad.params["model.heads"] == 8 and bad.params["model.hidden"] % 8
        for bad in seen.unbuildable
    )
    assert "must be a multiple of heads" in seen.unbuildable[0].problems[0].message
    assert seen == probe(found, prepared(found), points=60)


def test_a_probe_of_a_finite_space_sees_all_of_it(tmp_path: Path) -> None:
    text = GOOD.replace("{log: [1e-4, 1e-2]}", "{choice: [1e-4, 1e-3]}").replace(
        "{log: [10 / run, 100 / run]}", "{choice: [10 / run, 1 / step]}"
    )
    text = text.replace("diverged == 0]", "diverged == 0, forecast/saved_flops <= 1 %]")
    found = study(tmp_path, text)
    seen = probe(found, prepared(found))
    assert seen.tried == 2 * 3 + 2 + 1
    assert {bad.params["schedule"] for bad in seen.unbuildable} == {"falling", "rising"}
    assert all(problem.message == "violates the constraint" for bad in seen.unbuildable for problem in bad.problems)


def test_forecasts_have_the_names_of_constraints(tmp_path: Path) -> None:
    numbers = forecast_metrics(built(study(tmp_path), "full"))
    assert numbers["forecast/steps"] == 100
    assert numbers["forecast/saved_flops"] == 0
    assert all(isinstance(value, float) for value in numbers.values())


@pytest.mark.parametrize("name", sorted(shipped("spaces")))
def test_every_shipped_study_can_be_built(name: str) -> None:
    found = load_study(name).fixed("cpu")
    resolver = Resolver(found, prepared(found))
    trees: list[Any] = [found.tree_of(system.name) for system in found.systems] + (
        [found.experiment] if found.search else []
    )
    built_ones = [resolver.experiment(variants(tree)[0]) for tree in trees]
    assert len(built_ones) >= 2
    assert len({experiment.digest for experiment in built_ones}) == len(built_ones)


def test_the_rebuttal_has_its_eight_rows_and_the_one_asked_for() -> None:
    found = load_study("rebuttal")
    rows = {system.name: built(found, system.name) for system in found.systems}
    assert list(rows) == ["bert", "postln", "preln-same-lr", "preln", "shallow", "random", "td-only", "pld", "dd-only"]
    assert {name for name, row in rows.items() if row.model.norm == "post"} == {"bert", "postln"}
    assert {name for name, row in rows.items() if row.optimizer.lr == 1e-4} == {"bert", "postln", "preln-same-lr"}
    assert {row.steps * row.batch.sequences for row in rows.values()} == {256_000_000}
    assert rows["shallow"].model.layers == 9
    kept = {name: forecast_of(rows[name]).saved_block_flops for name in ("random", "td-only", "pld")}
    assert max(kept.values()) - min(kept.values()) < 1e-6


def test_the_demo_is_small_and_has_eight_runs() -> None:
    found = load_study("demo")
    assert found.search is not None
    assert sum(found.seeds_of(system.name) for system in found.systems) + found.search.trials * found.seeds >= 8
    text = shipped("spaces")["demo"].read_text()
    keys = [
        line.split(":")[0].strip() for line in text.splitlines() if ":" in line and not line.lstrip().startswith("#")
    ]
    explained = [line for line in text.splitlines() if ":" in line and "#" in line]
    assert len(explained) >= 50
    assert {"layers", "lr", "steps", "trials", "schedule", "reference"} <= set(keys)


def test_closing_needs_every_value(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        close(study(tmp_path).experiment, {})


def test_a_warm_up_longer_than_the_run_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    found = study(tmp_path, GOOD.replace("warmup: 2 %", "warmup: 120 steps"))
    resolver = Resolver(found, prepared(found))
    with pytest.raises(
        ConfigError,
        match=(
            r"study.yaml:9:48: experiment.optimizer.warmup: the warm-up \(120 steps\) is longer than the run of "
            r"100 steps"
        ),
    ):
        resolver.experiment(close(found.tree_of("full"), {"optimizer.lr": 1e-3}))
    assert resolver.experiment(found.tree_of("pld")).steps >= 120


def test_a_system_that_is_gone_is_one_difference_whatever_its_saving_names(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    added = ["systems.x={schedule: {base: random, temporal.value: {saving: like pld}}, optimizer.lr: 1e-3}"]
    assert differences(load_study(file, added), load_study(file)) == ["systems.x: removed"]


def test_a_seed_of_one_system_may_mean_seeds(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    with pytest.raises(ConfigError, match=r"systems.pld.seed: the same for every system.*did you mean seeds\?"):
        load_study(file, ["systems.pld.seed=3"])


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["seeds=2", "schedule=pld"], "--set:2:1: search: nothing to search: the experiment has no domain"),
        (["", "systems.full=null"], "--set:2:1: reference: no system of this name; allowed: pld | random | shallow"),
        (["model.heads=5"], "--set:1:1: experiment.model: hidden (64) must be a multiple of heads (5)"),
        (["systems.x.optimizer.lr={log: [1e-3, 1e-2]}"], "--set:1:1: systems.x: a domain that this system leaves open"),
    ],
)
def test_what_a_change_breaks_in_a_shipped_study_is_told_at_the_change(sets: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study("demo", sets)
    assert any(str(problem).startswith(said) for problem in caught.value.problems), caught.value
    assert {problem.mark.file for problem in caught.value.problems if problem.mark} == {"--set"}


def test_the_environment_stands_between_file_and_set() -> None:
    steps = set_tree(["budget.steps=7", "evaluation.epochs=1"], "PLD_SEARCH_STEPS")
    assert load_study("demo", environment=steps).budget.steps == 7
    assert load_study("demo", ["budget.steps=9"], steps).budget.steps == 9
    with pytest.raises(ConfigError, match=r"^PLD_SEARCH_STEPS:1:14: budget.steps: out of range"):
        load_study("demo", ["seeds=2"], set_tree(["budget.steps=99000000"], "PLD_SEARCH_STEPS"))


def test_how_layers_are_looked_at_is_no_part_of_what_a_study_is(tmp_path: Path) -> None:
    plain, looked_at = study(tmp_path), study(tmp_path, GOOD + "analysis: {every: 10 %}\n")
    assert looked_at.analysis is not None
    assert (looked_at.analysis.every, looked_at.analysis.sequences) == ("10 %", 64)
    assert identity(looked_at) == identity(plain)
    assert differences(plain, looked_at) == []
    assert Study.from_definition(looked_at.definition()) == looked_at
    assert study(tmp_path, sets=("analysis.every=25 %",)).analysis is not None
    (wrong,) = problems(tmp_path, GOOD + "analysis: {every: often}\n")
    assert "analysis.every" in wrong
