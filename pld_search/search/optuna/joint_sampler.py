"""The base of our own samplers: every parameter of the flat space is chosen jointly, with the choices it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pld_search.search.observed_runs import Floats
from pld_search.search.optuna.distributions import distribution_of
from pld_search.spaces.flat_space import FlatSpace, key_of

Params = dict[str, Any]


class JointSampler(optuna.samplers.BaseSampler):
    """Answers all parameters of `space` in `sample_relative`, which a subclass writes."""

    def __init__(self, space: FlatSpace, seed: int) -> None:
        self._space, self._random = space, np.random.default_rng(seed)
        self._fallback = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002  Optuna's signature
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Returns the whole space."""
        return {flat.name: distribution_of(flat.domain) for flat in self._space.parameters}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Samples a parameter that the joint answer lacks, at random."""
        return self._fallback.sample_independent(study, trial, param_name, param_distribution)

    def _drawn(self) -> Floats:
        """Returns random positions in the space (parameters,), each in [0, 1)."""
        return self._random.random(len(self._space))


def others_than(trial: FrozenTrial, study: optuna.Study) -> list[FrozenTrial]:
    """Returns the other trials of the study that have parameters."""
    return [each for each in study.get_trials(deepcopy=False) if each.number != trial.number and each.params]


def keys_asked(trials: Sequence[FrozenTrial]) -> set[Any]:
    """Returns the keys of configurations that need not be asked again: all except failed ones."""
    return {key_of(each.params) for each in trials if each.state != TrialState.FAIL}


def signs_of(directions: Sequence[StudyDirection]) -> Floats:
    """Returns the factor of each objective (objectives,) that makes smaller values better: 1 or -1."""
    return np.array([1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in directions])
