"""The sampler of a search's first questions, which are spread over the space; a learner answers the later ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from pld_search.search.optuna.distributions import distribution_of
from pld_search.search.optuna.joint_sampler import Params, keys_asked, others_than
from pld_search.search.space_filling import sobol, starts_of
from pld_search.spaces.flat_space import FlatSpace, key_of


class SpaceFilling(optuna.samplers.BaseSampler):
    """Space-filling starts, then `learner`. Both round to a grid's numbers alike, so equal configurations are
    one run.
    """

    def __init__(
        self,
        space: FlatSpace,
        starts: int,
        start_seed: int,
        learner: optuna.samplers.BaseSampler,
        given: Sequence[Params] = (),
    ) -> None:
        self._given = [*given, *([space.expected()] if space.expected() else [])]
        self._starts = max(starts_of(space, starts), len(self._given))
        self._space, self._start_seed, self._learner = space, start_seed, learner

    def _starting(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002  a subclass reads the study
        return trial.number < self._starts

    def _points(self) -> list[Params]:
        return list(sobol(self._space, self._start_seed))

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the whole space for a start; later the parameters that the learner samples jointly."""
        if self._starting(study, trial):
            return {flat.name: distribution_of(flat.domain) for flat in self._space.parameters}
        return self._learner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Returns a start (a given one or the expected best, else the next Sobol point that no trial has), later the
        learner's answer.
        """
        if not self._starting(study, trial):
            return self._space.on_grids(self._learner.sample_relative(study, trial, search_space))
        asked = keys_asked(others_than(trial, study))
        points = self._points()
        if trial.number < len(self._given):
            open_ones = self._space.positions(points[trial.number])
            return self._space.completed(self._given[trial.number], open_ones)
        return next((params for params in points if key_of(params) not in asked), points[trial.number])

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Samples one parameter alone, by the learner."""
        value = self._learner.sample_independent(study, trial, param_name, param_distribution)
        return self._space.on_grids({param_name: value}).get(param_name, value)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Lets the learner prepare itself."""
        self._learner.before_trial(study, trial)
