"""What an architecture or an optimizer does not fit in the rest of an experiment: each reason at its key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pld_search.errors import Refused
from pld_search.frozen import digest_of
from pld_search.model.deepen import sources
from pld_search.schedules.schedule import Schedule
from pld_search.specs.build_experiment import NOTHING
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer
from pld_search.specs.fitting_options import ungrown
from pld_search.specs.growth import REPEATED, UNCOPIED, Growth, Weights

LOCAL = {"local": 8, "global_every": 3}
BY_KIND = {"kind": "table", "global": 1.0, "local": 0.5, "global_every": 3}
MUON = {"kind": "muon", "lr": 0.02, "adamw": {"lr": 1e-3}}
STACK = {"stages": {"0 %": 2, "50 %": 4}, "weights": "stack", "moments": "copy"}
SCHEDULE = {
    "temporal": {"kind": "constant", "value": 0.5},
    "depth": {"kind": "uniform"},
    "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "rescale": "none",
    "skipped": "freeze",
}
SIZES = {"layers": 4, "hidden": 16, "heads": 2, "intermediate": 32, "vocabulary": 101}


def experiment(
    model: dict[str, Any] | None = None,
    schedule: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    **more: Any,
) -> Experiment:
    return Experiment(
        model=Model(**{**SIZES, **(model or {})}),
        data=Data(corpus=NOTHING, tokenizer=NOTHING, length=16),
        batch=Batch(sequences=4),
        optimizer=Optimizer.model_validate(optimizer or {"lr": 1e-3}),
        precision="fp32",
        schedule=Schedule.model_validate({**SCHEDULE, **(schedule or {})}),
        steps=20,
        **more,
    )


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"model": {"tie_embeddings": False}, "pretraining": "electra"}, ("model", "tie_embeddings"), "share"),
        ({"model": {"token_types": False}, "pretraining": "mlm+nsp"}, ("model", "token_types"), "pair"),
        (
            {
                "model": {"positions": "rope", "hidden": 24},
                "pretraining": {"kind": "electra", "generator": {"width": 0.125}},
            },
            ("pretraining", "generator", "width"),
            "even",
        ),
        ({"model": {"first_norm": False}, "growth": STACK}, ("growth", "weights"), "copies"),
        ({"schedule": {"depth": BY_KIND}}, ("schedule", "depth", "global_every"), "all layers of the model"),
        (
            {"schedule": {"depth": BY_KIND}, "model": {"attention": {**LOCAL, "global_every": 2}}},
            ("schedule", "depth", "global_every"),
            "`global_every: 2`",
        ),
        ({"schedule": {"skipped": "zero_grad"}, "optimizer": MUON}, ("schedule", "skipped"), "whole step"),
    ],
)
def test_each_reason_has_its_key(changes: dict[str, Any], path: tuple[str, ...], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        experiment(**changes)
    refused = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(refused, Refused)
    (reason,) = refused.reasons
    assert reason.path == path and word in reason.why and reason.others


@pytest.mark.parametrize("weights", ["stack", "interleave", "middle", "fresh", "zero"])
def test_a_first_layer_without_a_norm_grows_where_nothing_is_a_copy_of_it(weights: Weights) -> None:
    moments = "reset" if weights in UNCOPIED else "copy"
    plain, special = (Model(**{**SIZES, "layers": 9}, first_norm=first) for first in (None, False))
    refused = {}
    for before in range(1, 9):
        for after in range(before + 1, 10):
            if weights in REPEATED and after % before:
                continue
            growth = Growth(stages={"0 %": before, "50 %": after}, weights=weights, moments=moments)
            assert not ungrown(plain, growth)
            refused[before, after] = bool(ungrown(special, growth))
            assert refused[before, after] == (sources(weights, before, after).count(0) > 1)
    assert (True in refused.values(), False in refused.values()) == (
        weights not in UNCOPIED,
        weights not in REPEATED,
    )


def test_what_fits_is_accepted_and_read_again() -> None:
    changes: list[dict[str, Any]] = [
        {"model": {"attention": LOCAL, "positions": "rope"}, "schedule": {"depth": BY_KIND}},
        {"model": {"positions": "rope"}, "pretraining": {"kind": "electra", "generator": {"width": 0.5}}},
        {"optimizer": MUON, "model": {"first_norm": False}},
        {"model": {"first_norm": False}, "growth": {**STACK, "weights": "fresh", "moments": "reset"}},
    ]
    plain = experiment().digest
    for each in changes:
        found = experiment(**each)
        again = Experiment.model_validate(found.model_dump(mode="json"))
        assert again == found and again.digest == found.digest != plain
        assert digest_of(again) == digest_of(found)
