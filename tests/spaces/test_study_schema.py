"""The JSON Schemas of studies and machines are schemas, describe every key, take what can be written and refuse what
cannot.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pld_search.schedules.library import shipped
from pld_search.spaces.study_schema import machine_schema, study_schema
from pld_search.specs.yaml_io import load, load_file

STUDY = Draft202012Validator(study_schema())
MACHINE = Draft202012Validator(machine_schema())
DEMO = load_file(shipped("spaces")["demo"])


@pytest.mark.parametrize("schema", [study_schema, machine_schema])
def test_it_is_a_schema_and_always_the_same(schema: Any) -> None:
    Draft202012Validator.check_schema(schema())
    assert schema() == schema()


@pytest.mark.parametrize("schema", [study_schema, machine_schema])
def test_every_key_is_described(schema: Any) -> None:
    found = schema()
    objects = {"": found, **found["$defs"]}
    undescribed, seen = [], 0
    for name, definition in objects.items():
        for key, value in definition.get("properties", {}).items():
            seen += 1
            led_to = [form.get("$ref", "") for form in (value, *value.get("anyOf", []))]
            refers = any(reference and not reference.endswith("Domain") for reference in led_to)  # described there
            if key not in ("kind", "saving") and "." not in key and not value.get("description") and not refers:
                undescribed.append(f"{name}.{key}")
    assert seen >= 10
    assert undescribed == []


@pytest.mark.parametrize("name", list(shipped("spaces")))
def test_every_shipped_study(name: str) -> None:
    assert [error.message for error in STUDY.iter_errors(load_file(shipped("spaces")[name]))] == []


@pytest.mark.parametrize(
    "text",
    [
        "experiment: demo\nbudget: {steps: 10}",
        "experiment: ./mine.yaml\nbudget.steps: 10\nbudget.equal: flops",
        "experiment.model.layers: 2\nexperiment.optimizer.lr: {log: [1e-4, 1e-2]}\nbudget: {tokens: 1000}",
        "experiment: {schedule.temporal.end: {float: [30 %, 90 %], step: 10 %}}\nbudget: {steps: 10}",
        "experiment: {schedule: {choice: [pld, full]}}\nbudget: {steps: 10}",
        "experiment: {schedule: {base: pld, temporal: {choice: {a: {kind: cosine, start: 1, end: 0.5}, b: "
        "{end: 0.7}}}}}\nbudget: {steps: 10}",
        "experiment: {schedule: {base: raptr, temporal.stages.25 %: {saving: 25 % of blocks}}}\nbudget: {steps: 10}",
        "experiment: {model: {norm: {choice: [pre, post]}, layers: {int: [2, 8], step: 2}}}\nbudget: {steps: 10}",
        "experiment: demo\nbudget: {steps: 10}\nsystems: {a: {schedule: full, tune: 3, seeds: 2, "
        "model.layers: 4, optimizer: {lr: 1e-3}}, b: {}}",
        "experiment: demo\nbudget: {seconds: 2 h, equal: flops}\ntarget: {set: {model.hidden: 768, model: "
        "{heads: 12}, budget.steps: 200000}, runs: 3}",
        "experiment: demo\nbudget: {seconds: 90, equal: seconds}\ntarget.set: {data.length: 512, budget: "
        "{tokens: 1000000}}",
        "experiment: {evaluation: {tasks: [cola, {mine: ./tasks/mine}]}}\nbudget: {steps: 10}",
        "experiment: {model.from: ./checkpoint}\nbudget: {flops: 1e15}\nsearch: {trials: 3, objective: "
        "[{minimize: valid/loss}, {maximize: saved/flops}]}",
    ],
)
def test_what_is_admitted(text: str) -> None:
    assert [error.message for error in STUDY.iter_errors(load(text, "study.yaml"))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("experiment", "model", "layer"), 4),
        (("experiment", "model", "layers"), 0),
        (("experiment", "model", "norm"), "prenorm"),
        (("experiment", "optimizer.lrr"), 1e-3),
        (("experiment", "optimizer", "lr"), {"loguniform": [1e-4, 1e-2]}),
        (("experiment", "optimizer", "lr"), {"log": [1e-4]}),
        (("experiment", "evaluation", "lr"), {"log": [1e-4, 1e-3]}),
        (("experiment", "evaluation", "tasks"), ["colla"]),
        (("experiment", "seed"), {"int": [0, 3]}),
        (("experiment", "data", "tokenizer"), {"choice": ["a", "b"]}),
        (("experiment", "schedule"), {"base": "pld", "temporal.rate": 100}),
        (("experiment", "schedule"), {"base": "pld", "temporal": {"kind": "sigmoid"}}),
        (("experiment", "schedule"), {"base": "pld", "rescale": "half"}),
        (("experiment", "schedule"), {"base": "pld", "temporal.stages.25 %": 1.5}),
        (("budget", "epochs"), 3),
        (("budget", "steps"), {"int": [1, 9]}),
        (("systems", "full", "seed"), 3),
        (("systems", "full", "schedul"), "full"),
        (("search", "sampler"), "cmaes"),
        (("trials",), 3),
        (("budget", "seconds"), 0),
        (("budget", "seconds"), "2 days"),
        (("budget", "equal"), "tokens"),
        (("target",), {"set": {"model.hiden": 768}}),
        (("target",), {"set": {"schedule": "pld"}}),
        (("target",), {"set": {"model.hidden": 768}, "runs": 0}),
    ],
)
def test_what_is_refused(path: tuple[str, ...], value: Any) -> None:
    tree: Any = copy.deepcopy(DEMO)
    inner = tree
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    assert STUDY.is_valid(DEMO)
    assert not STUDY.is_valid(tree)


@pytest.mark.parametrize("key", ["experiment", "budget"])
def test_what_a_study_cannot_do_without(key: str) -> None:
    assert not STUDY.is_valid({word: value for word, value in DEMO.items() if word != key})


def test_a_machine(tmp_path: Path) -> None:
    assert MACHINE.is_valid(
        load("slots: 2\ncheckpoint_seconds: 30\ncorpora: {wiki: /data/wiki}\ntasks.glue: /data/glue", "machine.yaml")
    )
    for text in ("slot: 2", "slots: 0", "device: tpu", "corpora: [wiki]", "tasks.glue: 3"):
        assert not MACHINE.is_valid(load(text, "machine.yaml")), text
