"""`pld_search.forecast`: the closed-form expectation of a run, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from pld_search.costs.expected_depth import Expected, expect
from pld_search.costs.flops import run_flops
from pld_search.costs.load_schedule import Source, load_schedule
from pld_search.costs.run_cost import Forecast
from pld_search.costs.run_cost import forecast as forecast_run
from pld_search.costs.written_shapes import shapes_of
from pld_search.errors import ConfigError, Problem
from pld_search.specs.experiment import Experiment
from pld_search.specs.growth import layers_of

Described = Experiment | Mapping[str, Any] | str | Path


@overload
def forecast(
    schedule: Source, *, steps: int, layers: int, groups: int | None = None, experiment: None = None
) -> Expected: ...
@overload
def forecast(
    schedule: Source, *, steps: int, layers: None = None, groups: None = None, experiment: Described
) -> Forecast: ...
def forecast(
    schedule: Source,
    *,
    steps: int,
    layers: int | None = None,
    groups: int | None = None,
    experiment: Described | None = None,
) -> Expected | Forecast:
    """Computes exactly how much a schedule is expected to keep over a run. It trains and samples nothing.

    Args:
        schedule: a name of the library, a place (`./mine.yaml`), a mapping of its keys, or a Schedule.
        steps: optimizer steps of the whole run, 1 or more.
        layers: layers of the model, 1 or more.
        experiment: the alternative to layers: its model, data, batch and growth decide the cost of the layers. It is
            the name of a shipped study, the place of a file that holds an experiment, a mapping of its keys (other keys
            may be absent), or an Experiment.
        groups: parts of a step's batch with their own draws, 1 or more; 1 by default. An experiment states its own
            number.

    With `layers` it returns `Expected`: expected_layers_mean and expected_layers_end (layers), keep_probabilities_mean
    and keep_probabilities_end (one a layer, 0 .. 1), touched_layers_mean (layers that some group of a step runs),
    layers_std, and saved_block_flops (a share, 0 .. 1). With an experiment it returns `Forecast`: the same, and tokens,
    block_flops, head_flops, rest_flops, total_flops (of the whole run, forward and backward) and saved_flops (a share
    of the same architecture at full depth).

    Raises ConfigError for an invalid schedule, experiment or number, with every problem at its place.

    >>> from pld_search.costs.forecast_answer import forecast
    >>> round(forecast("pld", steps=10_000, layers=12).expected_layers_mean, 2)
    8.78
    """
    _check(steps, layers, groups, experiment)
    if experiment is None:
        assert layers is not None
        return expect(load_schedule(schedule, layers=layers, steps=steps), steps, layers, groups or 1)
    of = shapes_of(experiment)
    unfit = of.data.misfits(steps) + of.batch.misfits(steps)
    if unfit:
        raise ConfigError([Problem(reason.why, reason.path) for reason in unfit])
    layers_then = layers_of(of.growth, of.model.layers, steps)
    found = load_schedule(
        schedule, layers=layers_then, steps=steps, flops=run_flops(of.model, of.data, of.batch, steps, of.pretraining)
    )
    return forecast_run(found, of.model, of.data, of.batch, steps, of.growth, of.pretraining)


def _check(steps: int, layers: int | None, groups: int | None, experiment: object) -> None:
    """Raises ConfigError with every problem of the numbers."""
    given = {"steps": steps, "layers": layers, "groups": groups}
    allowed = "a whole number, 1 or more"
    problems = [
        Problem("out of range", (name,), allowed=allowed, given=str(value))
        for name, value in given.items()
        if value is not None and value < 1
    ]
    if (layers is None) == (experiment is None):
        problems.append(
            Problem(
                "a forecast is for a number of layers, or for an experiment",
                ("layers",),
                allowed="layers=L or experiment=..., one of them",
            )
        )
    if groups is not None and experiment is not None:
        problems.append(
            Problem(
                "the groups are the experiment's",
                ("groups",),
                allowed="batch: {groups: ...} in the experiment",
                given=str(groups),
            )
        )
    if problems:
        raise ConfigError(problems)
