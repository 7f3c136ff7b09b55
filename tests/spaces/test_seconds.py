"""Budgets in seconds, `equal: seconds`, and what a forecast knows with a profile: by hand, from made-up profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.costs.parameters import parameters_of
from pld_search.costs.profile import architecture_of
from pld_search.costs.profile_store import KnownProfiles
from pld_search.errors import ConfigError
from pld_search.spaces.domains import variants
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver, refuse_unmeasured
from pld_search.spaces.trained_architectures import architectures
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.experiment import Experiment
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from tests.costs.profiles import profile

STUDY = """\
name: seconds
experiment:
  model: {layers: 6, hidden: 32, heads: 4}
  data: {train: demo, tokenizer: {train: wordpiece, vocabulary: 512}, length: 32}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
  schedule: {base: random, temporal.value: {float: [0.4, 0.9]}}
budget: BUDGET
systems:
  full: {schedule: full}
  half: {schedule: {base: random, temporal.value: 0.5}}
  shallow: {schedule: full, model.layers: 3}
reference: full
search: {trials: 3, constraints: [CONSTRAINTS]}
"""


def resolver(
    folder: Path, budget: str, constraints: str = "", *, measured: bool = True, shallow: float = 0.25
) -> Resolver:
    """A study's resolver; each layer takes 0.25 s, in the shallow model `shallow` (0.1 of it attention's remainder)."""
    path = folder / "seconds.yaml"
    path.write_text(STUDY.replace("BUDGET", budget).replace("CONSTRAINTS", constraints))
    study = load_study(path)
    prepared = stand_in(check(ExperimentTemplate, variants(study.tree_of("full"))[0]))
    known: dict[str, Any] = {}
    if measured:
        for digest, what in architectures(Resolver(study, prepared)).items():
            known[digest] = (
                profile(digest)
                if what.model.layers == 6
                else profile(digest, seconds_attention=shallow, seconds_feed_forward=0.0)
            )
    return Resolver(study, prepared, profiles=KnownProfiles(known))


def built(found: Resolver, name: str | None) -> Experiment:
    return found.experiment(variants(found.study.tree_of(name))[0])


def test_each_buys_its_own_steps_by_its_own_profile(tmp_path: Path) -> None:
    found = resolver(tmp_path, "{seconds: 206.5}", shallow=0.49)
    assert built(found, "full").steps == 100  # 0.5 + 6 (0.25 + 0.01) = 2.06 s a step
    assert built(found, "half").steps == 161  # 0.5 + 3 (0.25 + 0.01) = 1.28
    assert built(found, "shallow").steps == 103  # 0.5 + 3 (0.49 + 0.01) = 2.0
    assert built(found, None).steps > 100


@pytest.mark.parametrize(("written", "seconds"), [("2 h", 7200.0), ("1.5 min", 90.0), ("45", 45.0)])
def test_a_budget_carries_its_unit(tmp_path: Path, written: str, seconds: float) -> None:
    found = resolver(tmp_path, f"{{seconds: {written}}}")
    assert found.study.budget.seconds == seconds
    assert type(found.study).from_definition(found.study.definition()) == found.study


def test_equal_seconds_of_the_reference(tmp_path: Path) -> None:
    found = resolver(tmp_path, "{steps: 100, equal: seconds}", shallow=0.49)
    assert [built(found, name).steps for name in ("full", "half", "shallow")] == [100, 160, 103]


def test_equal_flops_and_steps_of_a_reference_with_a_time(tmp_path: Path) -> None:
    flops = resolver(tmp_path, "{seconds: 206.5, equal: flops}")
    plain = resolver(tmp_path, "{steps: 100, equal: flops}")
    assert [built(flops, name).steps for name in ("full", "half", "shallow")] == [
        built(plain, name).steps for name in ("full", "half", "shallow")
    ]
    steps = resolver(tmp_path, "{seconds: 206.5, equal: steps}")
    assert [built(steps, name).steps for name in ("full", "half", "shallow")] == [100] * 3


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (
            "{seconds: 60}",
            r"^budget.seconds: this needs a calibration .* `pld-search plan STUDY --calibrate` measures it; "
            r"given: 6 x 32, pre, learned; 8 x 32",
        ),
        ("{steps: 60, equal: seconds}", r"^budget.equal: this needs a calibration"),
    ],
)
def test_without_a_profile_it_is_refused(tmp_path: Path, budget: str, words: str) -> None:
    found = resolver(tmp_path, budget, measured=False)
    with pytest.raises(ConfigError, match=words):
        built(found, "full")
    with pytest.raises(ConfigError, match=r"^budget: this needs a calibration"):
        refuse_unmeasured(found)


def test_too_little_time_for_a_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^budget: the budget buys no step; allowed: at least 2\.06 seconds"):
        built(resolver(tmp_path, "{seconds: 2}"), "full")


@pytest.mark.parametrize("constraint", ["forecast/seconds <= 1 min", "forecast/memory_gb < 3"])
def test_constraints_on_what_was_never_measured_are_refused(tmp_path: Path, constraint: str) -> None:
    with pytest.raises(ConfigError, match=r"^search.constraints: this needs a calibration"):
        refuse_unmeasured(resolver(tmp_path, "{steps: 60}", constraint, measured=False))
    refuse_unmeasured(resolver(tmp_path, "{steps: 60}", constraint))
    refuse_unmeasured(resolver(tmp_path, "{steps: 60}", "forecast/parameters < 1e9", measured=False))


def test_what_a_forecast_knows(tmp_path: Path) -> None:
    found = resolver(tmp_path, "{steps: 100}")
    what = built(found, "half")
    known = found.forecast(what)
    assert known["forecast/seconds"] == pytest.approx(128.0)
    assert known["forecast/memory_gb"] == 2.0
    assert known["forecast/parameters"] == parameters_of(what.model)
    blind = resolver(tmp_path, "{steps: 100}", measured=False).forecast(what)
    assert set(known) - set(blind) == {"forecast/seconds", "forecast/memory_gb"}


def test_the_architectures_of_a_study(tmp_path: Path) -> None:
    found = resolver(tmp_path, "{seconds: 60}")
    assert [what.model.layers for what in architectures(found).values()] == [6, 3]
    what = built(found, "half")
    assert architecture_of(what) in architectures(found)
