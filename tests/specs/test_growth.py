"""`growth:` as written: what it means, and every way it is refused, at its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.frozen import canonical_json
from pld_search.schedules.existing_layers import LayersAt
from pld_search.specs.experiment import Experiment
from pld_search.specs.growth import Growth, layers_of
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import load
from tests.costs.examples import BATCH, DATA, MODEL

WHOLE = "stages: {0 %: 3, 30 %: 6, 60 %: 12}\nweights: stack\nmoments: copy\n"


def growth(text: str = WHOLE) -> Growth:
    return check(Growth, load(text, "g.yaml"))


def experiment(**changes: Any) -> Experiment:
    fields = {
        "model": MODEL,
        "data": DATA,
        "batch": BATCH,
        "optimizer": {"lr": 1e-3},
        "precision": "fp32",
        "schedule": load_schedule("pld"),
        "steps": 100,
    }
    return Experiment.model_validate({**fields, **changes})


def test_stages_are_steps_of_a_run() -> None:
    assert growth().layers_at(1000) == LayersAt((0, 300, 600), (3, 6, 12))
    assert growth().layers_at(7) == LayersAt((0, 2, 4), (3, 6, 12))  # 2.1 and 4.2
    assert growth(WHOLE.replace("60 %", "450 steps")).layers_at(1000) == LayersAt((0, 300, 450), (3, 6, 12))
    # 0.6 and 1.2: of stages that round to one step the later holds
    assert growth().layers_at(2) == LayersAt((0, 1), (3, 12))
    assert growth("stages: {0 %: 4}\nweights: fresh\nmoments: reset\n").layers_at(10) == LayersAt((0,), (4,))
    assert layers_of(None, 12, 10) == 12


def test_it_goes_through_yaml_and_json_and_has_one_text() -> None:
    first, pairs = growth(), growth("stages: [[0.0, 3], [30.0 %, 6], [0.6, 12]]\nmoments: copy\nweights: stack\n")
    assert first == pairs and hash(first) == hash(pairs)
    assert canonical_json(first) == '{"moments":"copy","stages":[["0 %",3],["30 %",6],["60 %",12]],"weights":"stack"}'
    assert Growth.model_validate_json(first.model_dump_json()) == first == Growth.model_validate(first.model_dump())


def test_an_experiment_without_growth_keeps_its_digest() -> None:
    plain = experiment()
    assert "growth" not in plain.model_dump(mode="json")
    assert plain.digest == "sha256:8e84bae66618a688370fa7a87839dec03ac1ae596acba4c96ea8185cac8f2ac4"
    assert experiment(growth=None).digest == plain.digest
    changes = [
        {"stages": {"0 %": 3, place: 6}, **more}
        for place in ("50 %", "51 %")
        for more in ({}, {"weights": "interleave"}, {"moments": "reset"})
    ]
    grown = [experiment(growth={**growth().model_dump(), **change}) for change in changes]
    assert len({each.digest for each in [plain, *grown]}) == 7
    assert Experiment.model_validate(grown[0].model_dump(mode="json")) == grown[0]
    assert grown[0].layers_at == LayersAt((0, 50), (3, 6)) and plain.layers_at == 6


@given(
    st.integers(1, 5),
    st.lists(st.integers(2, 4), max_size=3),
    st.sampled_from(["stack", "interleave", "middle", "fresh", "zero"]),
    st.integers(20, 5000),
)
def test_multiples_can_be_reached(first: int, factors: list[int], weights: str, total: int) -> None:
    sizes = [first]
    for factor in factors:
        sizes.append(sizes[-1] * factor)
    stages = {f"{20 * index} %": size for index, size in enumerate(sizes)}
    made = Growth.model_validate({"stages": stages, "weights": weights, "moments": "reset"})
    assert made.layers_at(total).sizes == tuple(sizes)
    assert made.misfits(total) == []
    assert made.final == sizes[-1]


REFUSED = {
    "late": ("0 %: 3", "5 %: 3", ["g.yaml:1:15: stages.5 %: the beginning of the run is not covered: the first place is `0 %`"]),
    "falling": ("30 %: 6", "30 %: 2", ["g.yaml:1:24: stages.30 %: 2 layers after 3: stages rise"]),
    "level": ("60 %: 12", "60 %: 6", ["g.yaml:1:33: stages.60 %: 6 layers after 6: stages rise"]),
    "no multiple": (
        "30 %: 6",
        "30 %: 8",
        [
            "g.yaml:1:24: stages.30 %: `weights: stack` repeats the 3 layers before: it reaches 6, 9, 12, ..., not 8; `weights: fresh` reaches any number (see also weights in line 2)",
            "g.yaml:1:33: stages.60 %: `weights: stack` repeats the 8 layers before: it reaches 16, 24, 32, ..., not 12; `weights: fresh` reaches any number (see also weights in line 2)",
        ],
    ),
    "out of order": ("60 %", "20 %", ["g.yaml:1:33: stages.20 %: out of order: it must come after 30 %"]),
    "the end": ("60 %", "100 %", ["g.yaml:1:34: stages.100 %: begins at the end of the run, so that no step is left for its layers"]),
    "beyond": ("60 %", "160 %", ["g.yaml:1:34: stages.160 %: a share lies in [0, 1] or between 0 % and 100 %; given: 160 %"]),
    "a unit": ("60 %", "60 min", ["g.yaml:1:35: stages.60 min: needs 'NUMBER %' or 'NUMBER steps' or a bare number, not 'min'; given: 60 min"]),
    "no layers": ("0 %: 3", "0 %: 0", ["g.yaml:1:15: stages.0 %: out of range; allowed: >= 1; given: 0"]),
    "half a layer": ("0 %: 3", "0 %: 1.5", ["g.yaml:1:15: stages.0 %: needs a whole number; given: 1.5"]),
    "a word": ("stack", "stak", ["g.yaml:2:10: weights: this word is not allowed here; allowed: stack | interleave | middle | fresh | zero; given: stak; did you mean stack?"]),
    "a key": ("moments", "momenta", ["g.yaml:3:1: momenta: unknown key; allowed: stages | weights | moments; did you mean moments?"]),
    "identity copied": ("stack", "zero", ["g.yaml:3:10: moments: with `weights: zero` nothing is copied, so new layers have no moments; `moments: reset` (see also weights in line 2)"]),
    "nothing copied": ("stack", "fresh", ["g.yaml:3:10: moments: with `weights: fresh` nothing is copied, so new layers have no moments; `moments: reset` (see also weights in line 2)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    old, new, said = REFUSED[name]
    assert WHOLE.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        growth(WHOLE.replace(old, new))
    assert [str(problem) for problem in caught.value.problems] == said


def test_everything_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        growth("stages: {10 %: 3, 30 %: 7}\nweights: stack\nmoment: copy\n")
    assert len(caught.value.problems) >= 1
    with pytest.raises(ConfigError) as caught:
        growth("stages: {10 %: 3, 100 %: 7}\nweights: stack\nmoments: copy\n")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("stages", "total", "why"),
    [
        ("{0 %: 3, 200 steps: 6}", 100, "200 steps lies outside a run of 100 steps"),
        (
            "{0 %: 3, 100 steps: 6}",
            100,
            "begins at the end of the run, so that no step is left for its layers (100 steps)",
        ),
        ("{0 %: 3, 90 steps: 6, 50 %: 12}", 100, "out of order in a run of 100 steps: it must come after 90 steps"),
        ("{0 %: 3, 60 %: 6}", 1, "begins at the end of the run, so that no step is left for its layers (1 steps)"),
    ],
)
def test_not_for_this_run(stages: str, total: int, why: str) -> None:
    (reason,) = growth(f"stages: {stages}\nweights: stack\nmoments: copy\n").misfits(total)
    assert reason.why == why
    assert reason.path[0] == "stages"


def test_not_for_this_model() -> None:
    with pytest.raises(ValueError, match="growth ends with 12 layers, the model has 6"):
        experiment(growth=growth())
    continued = MODEL.model_copy(update={"checkpoint": "sha256:" + "1" * 64, "layers": 12})
    with pytest.raises(ValueError, match="a checkpoint brings all its layers"):
        experiment(growth={**growth().model_dump(), "stages": {"0 %": 3, "30 %": 6}}, model=continued)
    with pytest.raises(ValueError, match="outside a run of 100 steps"):
        experiment(growth={**growth().model_dump(), "stages": {"0 %": 3, "300 steps": 6}})


def test_an_identity_needs_norms_before_the_sum() -> None:
    stages = {"stages": {"0 %": 3, "50 %": 6}, "weights": "zero", "moments": "reset"}
    assert experiment(growth=stages).layers_at.final == 6
    with pytest.raises(ValueError, match="only a pre-norm layer that adds nothing is the identity"):
        experiment(growth=stages, model={**MODEL.model_dump(), "norm": "post"})
