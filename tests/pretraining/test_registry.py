"""An objective added from outside: a subclass with another name and one call, no file of the package touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from torch import Tensor

from pld_search.costs import objectives as costs
from pld_search.costs.objectives import MlmCosts, costs_of
from pld_search.costs.run_cost import forecast
from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining import registry
from pld_search.pretraining.batch_tensors import MicroBatch
from pld_search.pretraining.mlm import MaskedLM
from pld_search.schedules.plan import AnyGates
from pld_search.specs import pretraining as specs
from pld_search.specs.experiment import Experiment
from pld_search.training.train_run import train

Builder = Callable[..., Any]
SMALL = {"layers": 2, "hidden": 16, "intermediate": 32}


class TwiceCosts(MlmCosts):
    """A head that costs twice as much."""

    def head_flops(self, *shapes: Any) -> int:
        return 2 * MlmCosts.head_flops(self, *shapes)

    def uniform_guess(self, vocabulary: int) -> float:
        return 2 * MlmCosts.uniform_guess(self, vocabulary)


class Twice(MaskedLM):
    """Masked language modelling with twice the loss."""

    kind = "twice-mlm"
    costs_class = TwiceCosts

    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        return 2 * super().loss(model, part, gates)

    def held_out_metrics(self, sums: Any) -> dict[str, float]:
        once = super().held_out_metrics(sums)["loss"]
        return {"loss": 2 * once, "once_loss": once}


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registered for one test."""
    for home, name in ((specs, "_kinds"), (costs, "_costs"), (registry, "_objectives")):
        monkeypatch.setattr(home, name, dict(getattr(home, name)))
    registry.register(Twice)
    yield


@pytest.mark.usefixtures("twice")
def test_an_objective_of_ones_own_is_forecast_trained_and_recorded(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    plain = experiment(steps=4, model=SMALL)
    what = experiment(steps=4, model=SMALL, pretraining="twice-mlm")
    assert what.digest != plain.digest and Experiment.model_validate(what.model_dump(mode="json")) == what
    head = [
        forecast(each.schedule, each.model, each.data, each.batch, 4, None, each.pretraining).head_flops
        for each in (plain, what)
    ]
    assert head[1] == 2 * head[0] > 0
    assert costs_of(what.pretraining).uniform_guess(100) == 2 * costs_of(None).uniform_guess(100)
    record = train(what, execution(), tmp_path)
    assert record.state == "finished"
    assert record.final["valid/loss"] == pytest.approx(2 * record.final["valid/once_loss"])
    assert {"test/loss", "test/once_loss"} <= record.final.keys()


@pytest.mark.usefixtures("twice")
def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="there is an objective twice-mlm already"):
        registry.register(Twice)


def test_every_objective_has_its_three_parts() -> None:
    assert set(specs.kinds()) == set(costs._costs) == set(registry._objectives)
    for kind, objective in registry._objectives.items():
        assert (objective.kind, objective.costs_class) == (kind, costs._costs[kind])


@pytest.mark.parametrize("written", ["mlm", {"kind": "mlm"}, None])
def test_the_default_is_no_key(experiment: Builder, written: Any) -> None:
    what = experiment(steps=4, model=SMALL, pretraining=written)
    assert what.pretraining is None and "pretraining" not in what.model_dump()


@pytest.mark.parametrize("written", ["clm", {"kind": "mlm", "weight": 1}, {"weight": 1}, 3, ["mlm"]])
def test_what_is_no_objective_is_refused(experiment: Builder, written: Any) -> None:
    with pytest.raises(ValidationError):
        experiment(steps=4, model=SMALL, pretraining=written)
