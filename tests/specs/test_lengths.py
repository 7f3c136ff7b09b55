"""`length` as written: one or in stages, what it means, and every way it is refused, at its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.frozen import canonical_json
from pld_search.schedules.rising_stages import StagesAt, stages_in
from pld_search.schedules.staged_values import stages_text
from pld_search.specs.experiment import Data, Experiment
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load
from tests.costs.examples import BATCH, DATA, MODEL

STAGES = {"0 %": 16, "90 %": 64}
TEMPLATE = """\
model: {layers: 2, hidden: 32, heads: 4, max_length: 256}
data:
  train: demo
  tokenizer: {train: wordpiece, vocabulary: 512}
  length: LENGTH
batch: {sequences: 8}
optimizer: {lr: 1e-3}
schedule: full
"""


def data(length: Any) -> Data:
    return Data.model_validate({**DATA.model_dump(), "length": length})


def experiment(length: Any, steps: int = 100, **model: Any) -> Experiment:
    parts = {
        "batch": BATCH,
        "optimizer": {"lr": 1e-3},
        "precision": "fp32",
        "schedule": load_schedule("pld"),
        "steps": steps,
    }
    return Experiment.model_validate({"model": {**MODEL.model_dump(), **model}, "data": data(length), **parts})


def test_stages_are_steps_of_a_run() -> None:
    assert data(STAGES).lengths_at(1000) == StagesAt((0, 900), (16, 64))
    assert data({"0 %": 16, "450 steps": 64}).lengths_at(1000) == StagesAt((0, 450), (16, 64))
    # of places that round to one step the later holds
    assert data({"0 %": 16, "30 %": 32, "60 %": 64}).lengths_at(2) == StagesAt((0, 1), (16, 64))
    assert data(32).lengths_at(7) == StagesAt((0,), (32,))
    assert (data(STAGES).first_length, data(STAGES).final_length, data(32).first_length, data(32).final_length) == (
        16,
        64,
        32,
        32,
    )
    assert [data(STAGES).predictions(length) for length in (16, 64)] == [2, 10]
    assert [stages_text(data(length).length) for length in (32, STAGES)] == ["32", "16>64"]


def test_one_length_keeps_its_digest_and_its_number() -> None:
    plain = experiment(32)
    assert plain.model_dump(mode="json")["data"]["length"] == 32
    assert plain.digest == "sha256:8e84bae66618a688370fa7a87839dec03ac1ae596acba4c96ea8185cac8f2ac4"
    others = [
        experiment(length)
        for length in (STAGES, {**STAGES, "50 %": 32}, {"0 %": 16, "80 %": 64}, {"0 %": 32})
        if list(length) == sorted(length)
    ]
    assert len({each.digest for each in [plain, *others]}) == len(others) + 1 == 4


def test_it_goes_through_yaml_and_json_and_has_one_text() -> None:
    first, pairs = data(STAGES), data([["0.0", 16], ["0.9", 64]])
    assert first == pairs and hash(first) == hash(pairs)
    assert json.loads(canonical_json(first))["length"] == [["0 %", 16], ["90 %", 64]]
    assert Data.model_validate_json(first.model_dump_json()) == first == Data.model_validate(first.model_dump())
    whole = experiment(STAGES)
    assert Experiment.model_validate(whole.model_dump(mode="json")) == whole


@given(st.integers(1, 5000), st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True), st.integers(0, 4999))
def test_each_step_has_the_length_of_the_last_stage_that_has_begun(total: int, percents: list[int], step: int) -> None:
    places = [0, *sorted(percents)]
    lengths = stages_in(tuple((f"{percent} %", 8 * (index + 1)) for index, percent in enumerate(places)), total)
    begun = [index for index, percent in enumerate(places) if (2 * percent * total + 100) // 200 <= step]
    assert lengths.before(step) == 8 * (begun[-1] + 1) == lengths.at(step)
    assert lengths.sum(total) == lengths.at(range(total)).sum()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "{10 %: 16, 90 %: 64}",
            ": data.length.10 %: the beginning of the run is not covered: the first place is `0 %`",
        ),
        (
            "{0 %: 16, 100 %: 64}",
            ": data.length.100 %: begins at the end of the run, so that no step is left for its sequences",
        ),
        ("{0 %: 64, 90 %: 16}", ": data.length.90 %: 16 positions after 64: lengths rise"),
        ("{0 %: 64, 90 %: 64}", ": data.length.90 %: 64 positions after 64: lengths rise"),
        ("{0 %: 4, 90 %: 16}", ": data.length.0 %: out of range; allowed: >= 8; given: 4"),
        ("{0 %: 16, 90 %: 1.5}", ": data.length.90 %: needs a whole number"),
        ("{0 %: 16, 90 %: 64, 50 %: 128}", "data.length.50 %: out of order: it must come after 90 %"),
        (
            "{0 %: 16, 90 %: 512}",
            ": data.length.90 %: length (512) exceeds model.max_length (256) of learned positions (see also "
            "model.max_length in line 1)",
        ),
        ("4", "t:5:11: data.length: out of range; allowed: >= 8; given: 4"),
        ("512", "t:5:11: data.length: length (512) exceeds model.max_length (256) of learned positions"),
        ("long", 't:5:11: data.length: needs a whole number; given: "long"'),
        ("{chioce: [16, 32]}", "did you mean choice?"),
    ],
)
def test_what_is_refused_and_where(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(ExperimentTemplate, load(TEMPLATE.replace("LENGTH", written), "t"))
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ({"0 %": 16, "200 steps": 64}, "200 steps lies outside a run of 100 steps"),
        (
            {"0 %": 16, "100 steps": 64},
            "begins at the end of the run, so that no step is left for its sequences (100 steps)",
        ),
        ({"0 %": 16, "50 steps": 32, "30 %": 64}, "30 %|out of order"),
    ],
)
def test_stages_that_a_run_does_not_have(length: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        experiment(length)
    with pytest.raises(ValueError, match=r"exceeds model\.max_length"):
        experiment(STAGES, max_length=32)
