"""Resolves a closed tree to an Experiment: the budget becomes a number of steps, a `{saving: ...}` a number, and names
become digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pld_search.costs.budget import steps_within, steps_within_tokens
from pld_search.costs.expected_depth import expect
from pld_search.costs.flops import run_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.parameters import parameters_of
from pld_search.costs.profile import (
    Profile,
    architecture_digest,
    architecture_of,
    architecture_text,
    of_several_kinds,
)
from pld_search.costs.profile_store import KnownProfiles, Profiles
from pld_search.costs.run_cost import Forecast, expected_flops, forecast
from pld_search.costs.saving import resolve_schedule
from pld_search.costs.seconds import run_seconds, steps_within_seconds
from pld_search.errors import ConfigError, KeyPath, Problem, below
from pld_search.frozen import canonical_json
from pld_search.schedules.existing_layers import Layers
from pld_search.schedules.schedule import Schedule
from pld_search.spaces.domains import variants
from pld_search.spaces.metric_names import FORECAST, PROFILED
from pld_search.spaces.problem_location import under
from pld_search.spaces.study import Study
from pld_search.specs import limits
from pld_search.specs.build_experiment import build, data_of, fixed_precision, model_of
from pld_search.specs.experiment import Batch, Data, Experiment, Model
from pld_search.specs.fitting_options import drifting, of_other_kinds
from pld_search.specs.growth import layers_of
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.problems_in_tree import problems_at
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import Map, copied, mark_at, plain

_ROOT = ("experiment",)
UNMEASURED = (
    "this needs a calibration of the architecture on this machine, and none is known; `pld-search plan STUDY "
    "--calibrate` measures it"
)


@dataclass(frozen=True, slots=True)
class _ConfigurationShape:
    """The inputs of FLOPs and seconds, and the schedule for any number of steps."""

    template: ExperimentTemplate
    model: Model
    data: Data
    batch: Batch
    schedule: Callable[[int], Schedule]
    architecture: str
    about: str

    @property
    def part(self) -> float:
        """The share of the study's budget that this configuration has."""
        return self.template.budget_share or 1.0

    def layers(self, steps: int) -> Layers:
        """Returns the layers that exist at each step of a run of `steps` steps."""
        return layers_of(self.template.growth, self.model.layers, steps)


@dataclass
class Resolver:
    """Builds the Experiments of one study. It computes the steps of the reference once, and reuses the steps of
    configurations with equal cost.

    profiles: the profiles measured on the machine; a budget in seconds needs the profile of every architecture.
    """

    study: Study
    prepared: Prepared
    device_kind: str = "cpu"
    profiles: Profiles = field(default_factory=KnownProfiles)
    _reference: tuple[int, _ConfigurationShape] | None = field(default=None, init=False, repr=False)
    _known_steps: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def experiment(self, tree: Any, seed_index: int = 0) -> Experiment:
        """Returns the Experiment of run `seed_index` of a closed tree (`domains.sample` of `study.tree_of(...)`).

        Raises ConfigError when the configuration cannot be built: an invalid value, a budget that buys no step, a
        budget in seconds for an architecture that was not measured, a saving that no value reaches, or a schedule for
        another number of steps.
        """
        shape = self._shape(tree)
        content = [plain(tree["schedule"]), plain(tree.get("growth")), shape.architecture, shape.part]
        key = canonical_json([*content, *(part.model_dump() for part in (shape.model, shape.data, shape.batch))])
        if key not in self._known_steps:
            self._known_steps[key] = self._steps(shape)
        steps = self._known_steps[key]
        schedule = shape.schedule(steps)
        growth = shape.template.growth
        reasons = below(("growth",), growth.misfits(steps)) if growth is not None else []
        reasons += below(("optimizer",), shape.template.optimizer.misfits(steps))
        reasons += shape.data.misfits(steps) + shape.batch.misfits(steps)
        learns, groups = shape.template.pretraining, shape.batch.group_sizes
        if learns is not None:
            reasons += below(("pretraining",), learns.run_misfits(shape.model.layers, steps, groups))
        reasons += below(("schedule",), schedule.misfits(steps, shape.layers(steps), shape.batch.group_sizes))
        reasons += of_other_kinds(shape.model, schedule) + drifting(shape.template.optimizer.kind, schedule)
        if reasons:
            raise under(ConfigError(problems_at(tree, reasons)), _ROOT)
        built = build(shape.template, schedule, steps, self.study.seed + seed_index, self.prepared)
        return built if self.study.confirm is None else built.model_copy(update={"test": "unseen"})

    def measurable(self, tree: Any) -> Experiment:
        """Returns the Experiment of a closed tree as a calibration needs it: one step at full depth. Raises
        ConfigError, and its subclass SeveralKinds.
        """
        shape = self._shape(tree)
        refuse_stages(shape, tree)
        return build(
            shape.template.model_copy(update={"growth": None}), load_schedule("full"), 1, self.study.seed, self.prepared
        )

    def profile(self, experiment: Experiment) -> Profile | None:
        """Returns the profile of an Experiment's architecture; None if it was not measured."""
        return self.profiles.find(architecture_of(experiment))

    def forecast(self, experiment: Experiment) -> dict[str, float]:
        """Returns all forecasts of a run by the names that constraints use; seconds and memory only if they were
        measured.
        """
        return forecast_metrics(experiment, self.profile(experiment))

    def _shape(self, tree: Any) -> _ConfigurationShape:
        tree = tree if isinstance(tree, Map) else copied(tree)
        template = check(ExperimentTemplate, tree, _ROOT)
        template = template.model_copy(update={"precision": fixed_precision(template.precision, self.device_kind)})
        try:
            model = model_of(template, self.prepared)
        except ConfigError as error:
            raise ConfigError(
                [problem.below(_ROOT).at(mark_at(tree, problem.path)) for problem in error.problems]
            ) from None
        data, written = data_of(template, self.prepared), tree["schedule"]
        flops = partial(run_flops, model, data, template.batch, pretraining=template.pretraining)

        def schedule(steps: int) -> Schedule:
            try:
                layers = layers_of(template.growth, model.layers, steps)
                return resolve_schedule(written, layers, steps, load=self.study.saving_reference, flops=flops(steps))
            except ConfigError as error:
                raise under(error, (*_ROOT, "schedule")) from None

        architecture = architecture_digest(model, data, template.batch, template.precision, template.pretraining)
        about = architecture_text(model, data, template.batch, template.precision)
        return _ConfigurationShape(template, model, data, template.batch, schedule, architecture, about)

    def _steps(self, shape: _ConfigurationShape) -> int:
        budget = self.study.budget
        if budget.equal is None:
            return self._own_steps(shape)
        steps, reference = self._of_reference()
        if budget.equal == "steps":
            return _part_of(steps, shape.part)
        return (
            self._within_seconds(shape.part * self._seconds(reference, steps), shape)
            if budget.equal == "seconds"
            else _within(shape.part * _flops(reference, steps), shape)
        )

    def _own_steps(self, shape: _ConfigurationShape) -> int:
        """Returns the steps that this configuration's share of the budget buys."""
        budget, part = self.study.budget, shape.part
        limits.refuse_beyond(budget.steps or 1, shape.model.layers, ("budget", "steps"))
        if budget.flops is not None:
            return _within(part * budget.flops, shape)
        if budget.seconds is not None:
            return self._within_seconds(part * budget.seconds, shape)
        if budget.tokens is None:
            return _part_of(budget.steps or 0, part)
        with _of_budget():
            return steps_within_tokens(_part_of(budget.tokens, part), shape.data, shape.batch)

    def _of_reference(self) -> tuple[int, _ConfigurationShape]:
        """Returns the reference's steps and shape. Domains that are open to tuning do not change its cost."""
        if self._reference is None:
            shape = self._shape(variants(self.study.tree_of(self.study.reference))[0])
            self._reference = self._own_steps(shape), shape
        return self._reference

    def _seconds(self, shape: _ConfigurationShape, steps: int) -> float:
        schedule = shape.schedule(steps)
        return run_seconds(
            self._measured(shape), expect(schedule, steps, shape.layers(steps), shape.batch.groups), schedule.skipped
        )

    def _within_seconds(self, seconds: float, shape: _ConfigurationShape) -> int:
        profile = self._measured(shape)
        with _of_budget():
            return steps_within_seconds(
                seconds, shape.schedule, profile, shape.model.layers, shape.batch.groups, shape.template.growth
            )

    def _measured(self, shape: _ConfigurationShape) -> Profile:
        refuse_stages(shape, None)
        profile = self.profiles.find(shape.architecture)
        if profile is None:
            word = "seconds" if self.study.budget.seconds is not None else "equal"
            raise unmeasured(("budget", word), shape.about)
        return profile


class SeveralKinds(ConfigError):
    """Raised when seconds are needed for a run with several lengths, masking rates or batch sizes, or with a generator
    that has its own schedule.
    """


def refuse_stages(shape: _ConfigurationShape, tree: Map | None) -> None:
    """Raises SeveralKinds, because a profile measures steps of one kind. Positions come from the `tree` of the
    experiment.
    """
    problems = of_several_kinds(shape.data, shape.batch, shape.template.pretraining)
    if tree is not None:
        problems = [problem.at(mark_at(tree, problem.path)) for problem in problems]
    if problems:
        raise SeveralKinds([problem.below(_ROOT) for problem in problems])


def unmeasured(path: KeyPath, architecture: str) -> ConfigError:
    """Returns the error that seconds or memory are needed for an architecture without a measurement in this setting."""
    return ConfigError(Problem(UNMEASURED, path, given=architecture))


def refuse_unmeasured(resolver: Resolver) -> None:
    """Raises ConfigError when a search is bounded by seconds or memory and an architecture was not measured.

    It runs before the first trial, because every trial would be rejected for it.
    """
    study = resolver.study
    named = any(constraint.name in PROFILED for constraint in study.constraints)
    if study.search is None or not (named or study.budget.in_seconds):
        return
    path = ("search", "constraints") if named else ("budget",)
    for tree in variants(study.experiment):
        try:
            experiment = resolver.measurable(tree)
        except SeveralKinds:
            raise
        except ConfigError:
            continue  # a configuration that cannot be built is rejected when it is asked
        if resolver.profile(experiment) is None:
            raise unmeasured(
                path, architecture_text(experiment.model, experiment.data, experiment.batch, experiment.precision)
            )


def _part_of(amount: int, part: float) -> int:
    return amount if part == 1 else max(1, round(part * amount))


def _flops(shape: _ConfigurationShape, steps: int) -> float:
    flops = run_flops(shape.model, shape.data, shape.batch, steps, shape.template.pretraining)
    return expected_flops(shape.schedule(steps), flops, shape.layers(steps), steps)


def _within(flops: float, shape: _ConfigurationShape) -> int:
    with _of_budget():
        shapes, more = (shape.model, shape.data, shape.batch), (shape.template.growth, shape.template.pretraining)
        return steps_within(flops, shape.schedule, *shapes, *more)


@contextmanager
def _of_budget() -> Iterator[None]:
    """Places problems without a path at the budget."""
    try:
        yield
    except ConfigError as error:
        raise error if error.problems[0].path else under(error, ("budget",)) from None


def resolve(
    study: Study, tree: Any, prepared: Prepared, *, device_kind: str = "cpu", seed_index: int = 0
) -> Experiment:
    """Returns one Experiment of a study; `Resolver` does the same for many. Raises ConfigError when it cannot be
    built.
    """
    return Resolver(study, prepared, device_kind).experiment(tree, seed_index)


def forecast_of(experiment: Experiment) -> Forecast:
    """Returns the layers, FLOPs and savings that a run of `experiment` is expected to execute."""
    shapes = experiment.model, experiment.data, experiment.batch
    return forecast(experiment.schedule, *shapes, experiment.steps, experiment.growth, experiment.pretraining)


def forecast_metrics(experiment: Experiment, profile: Profile | None = None) -> dict[str, float]:
    """Returns the forecast under the names that constraints use: `forecast/total_flops`, ...; with a profile also
    `forecast/seconds` and `forecast/memory_gb`.
    """
    found = forecast_of(experiment)
    known = {name: float(getattr(found, name.removeprefix("forecast/"))) for name in FORECAST}
    known["forecast/parameters"] = float(parameters_of(experiment.model, experiment.pretraining))
    if profile is not None:
        known["forecast/seconds"] = run_seconds(profile, found, experiment.schedule.skipped)
        known["forecast/memory_gb"] = profile.memory_gb
    return known
