"""Validation errors as problems: place, words and suggestions. The broken studies (tests/spaces) hold most of the
cases.
"""

from __future__ import annotations

import pytest

from pld_search.errors import ConfigError
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Optimizer
from pld_search.specs.spec_fields import keys_at
from pld_search.specs.synonyms import SYNONYMS, meant
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load


def said(text: str, cls: type = Optimizer) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(cls, load(text, "f"), ("x",))
    return [str(problem) for problem in caught.value.problems]


def test_a_valid_tree_is_the_spec() -> None:
    assert check(Optimizer, load("lr: 1e-3\nwarmup: 10 %\n", "f")) == Optimizer(lr=1e-3, warmup="10 %")


def test_a_plain_dict_has_no_marks() -> None:
    with pytest.raises(ConfigError) as caught:
        check(Batch, {"sequences": 0})
    assert str(caught.value) == "sequences: out of range; allowed: >= 1; given: 0"


def test_texts_and_truth_values_are_no_numbers() -> None:
    assert said('lr: "1e-3"\nclip: true\nbeta1: 1\n') == [
        'f:1:5: x.lr: needs a number; given: "1e-3"',
        "f:2:7: x.clip: needs a number; given: true",
        "f:3:8: x.beta1: out of range; allowed: < 1; given: 1",
    ]


def test_a_typo_of_a_required_key_is_one_problem() -> None:
    assert said("learning_rate: 1e-3\n")[0].endswith("did you mean lr?")
    assert len(said("learning_rate: 1e-3\n")) == 1
    assert len(said("wramup: 2 %\n")) == 2  # lr is missing, and a typo


def test_the_kind_of_a_union_decides_the_keys() -> None:
    tree = load(
        "temporal: {kind: exponential, start: 1, end: 0.5, rate: 100 / run, gamma: 3}\ndepth: {kind: uniform}\n", "f"
    )
    assert keys_at(Schedule, tree, ("temporal",)) == ["kind", "start", "end", "rate", "lag"]
    assert keys_at(Schedule, load("temporal: {kind: constant}\n", "f"), ("temporal",)) == ["kind", "value"]


def test_every_form_of_data_and_tokenizer() -> None:
    keys = keys_at(
        ExperimentTemplate, load("data: {train: {text: [a]}, tokenizer: {train: wordpiece}}\n", "f"), ("data", "train")
    )
    assert keys == ["text", "field"]


@pytest.mark.parametrize(
    ("word", "allowed", "expected"),
    [
        ("values", ["choice", "float"], "choice"),
        ("log-uniform", ["choice", "float", "log"], "log"),
        ("theta", ["temporal", "depth"], "temporal.end"),
        ("gamma", ["kind", "start", "end", "rate"], "rate"),
        ("batch_size", ["sequences", "groups"], "sequences"),
        ("hiden", ["hidden", "heads"], "hidden"),
        ("zzz", ["hidden"], None),
    ],
)
def test_what_was_meant(word: str, allowed: list[str], expected: str | None) -> None:
    assert meant(word, allowed) == expected


def test_every_synonym_leads_to_a_key_that_exists() -> None:
    from pld_search.schedules.schedule import Schedule as S
    from pld_search.spaces.load_study import WrittenStudy
    from pld_search.spaces.study import Budget, Search
    from pld_search.specs.machine import Machine

    keys = {
        "choice",
        "float",
        "log",
        "int",
        "step",
        "base",
        "tune",
        "epochs",
        "seeds",
        "kind",
        "value",
        "start",
        "end",
        "rate",
        "index",
        "cuda",
    }
    for cls in (ExperimentTemplate, S, WrittenStudy, Search, Budget, Machine):
        keys |= _all_keys(cls)
    targets = {target for targets in SYNONYMS.values() for target in targets}
    assert targets
    assert {part for target in targets for part in target.split(".")} <= keys


def _all_keys(cls: type) -> set[str]:
    from pld_search.specs.spec_fields import _models_in

    keys: set[str] = set()
    for name, field in cls.model_fields.items():  # type: ignore[attr-defined]
        keys.add(field.alias or name)
        for inner in _models_in(field.annotation):
            keys |= _all_keys(inner)
    return keys
