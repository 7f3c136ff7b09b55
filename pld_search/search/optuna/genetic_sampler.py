"""`nsga2`: a genetic search for the front of several objectives, on spaces with conditions.

Deb, Pratap, Agarwal and Meyarivan (2002), NSGA-II, IEEE Trans. Evol. Comput. 6:182, in steady state: the population is
the best part of all trials that have ended, so that slots need not wait for a generation and the sampler keeps no state
between questions. Less violation of the constraints comes first, then the front, then the larger crowding distance.
Children are made of positions in the flat space, so a conditional value is inherited or drawn only where its branch is
chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pld_search.search.observed_runs import Floats, Whole
from pld_search.search.optuna.joint_sampler import JointSampler, Params, keys_asked, others_than, signs_of
from pld_search.spaces.domains import Choice
from pld_search.spaces.flat_space import key_of
from pld_search.spaces.objectives import dominated

POPULATION = 20
"""Number of parents: the best of the ended trials. Before two trials have ended, questions are random."""
_STEP = 0.1
"""Standard deviation of a mutation of a number, as a share of its range."""
_TRIES = 20
_WORST = 1e300
"""The values of a trial that failed for good."""


class GeneticSampler(JointSampler):
    """Crosses and mutates the best ended trials; asks no configuration twice if a few mutations find a new one."""

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002  all of it is answered
    ) -> Params:
        """Returns a new child of the population, or a random configuration if there is none."""
        others = others_than(trial, study)
        asked, parents = keys_asked(others), population(others, study.directions)
        for _ in range(_TRIES):
            child = self._space.params_at(self._child(parents) if len(parents) > 1 else self._drawn())
            if key_of(child) not in asked:
                return child
        return self._space.params_at(self._drawn())

    def _child(self, parents: Sequence[Params]) -> Floats:
        """Makes a child by two tournaments of two, uniform crossover, and a mutation of one parameter on average."""
        one, other = (parents[int(self._random.integers(len(parents), size=2).min())] for _ in range(2))
        found = self._drawn()
        for place, flat in enumerate(self._space.parameters):
            givers = [each for each in (one, other) if flat.name in each]
            if not givers:  # neither parent chose its branch
                continue
            giver = givers[int(self._random.integers(len(givers)))]
            if self._random.random() >= 1 / len(self._space):
                found[place] = self._space.positions(giver)[place]
            elif not isinstance(flat.domain, Choice):
                moved = self._space.positions(giver)[place] + _STEP * self._random.standard_normal()
                found[place] = min(max(moved, 0.0), 1 - 1e-12)
        return found


def population(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[Params]:
    """Returns the best POPULATION configurations among the trials that have ended, the best first.

    A trial that failed for good (PRUNED with a violated constraint) counts by its violation.
    """
    ended = [trial for trial in trials if trial.state == TrialState.COMPLETE or _violation(trial) > 0]
    if not ended:
        return []
    signs = signs_of(directions)
    violations = np.array([_violation(trial) for trial in ended])
    values = np.array([signs * trial.values if trial.values else np.full(len(signs), _WORST) for trial in ended])
    order: list[int] = []
    for violation in np.unique(violations):
        left = np.flatnonzero(violations == violation)
        while len(left) and len(order) < POPULATION:
            front = left[~dominated(values[left])]
            order += front[np.argsort(-crowding(values[front]), kind="stable")].tolist()
            left = np.setdiff1d(left, front)
    return [ended[index].params for index in order[:POPULATION]]


def crowding(values: Floats) -> Floats:
    """Returns the crowding distance (n,) of the points (n, objectives) of one front; infinite at the ends."""
    found = np.zeros(len(values))
    for column in values.T:
        order: Whole = np.argsort(column, kind="stable")
        span = float(column[order[-1]] - column[order[0]])
        found[order[[0, -1]]] = np.inf
        if len(order) > 2 and span > 0:
            found[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return found


def _violation(trial: FrozenTrial) -> float:
    return sum(max(value, 0.0) for value in trial.constraints.values())
