"""`gp`: asks for the configuration with the largest expected improvement under a Gaussian process over the whole space.

Every parameter is drawn jointly with the choices it depends on. No configuration is asked twice while another one is
left. With several objectives a random weighting is improved (ParEGO, Knowles 2006), drawn anew for each question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from pld_search.search.gaussian_process import GaussianProcess, expected_improvement
from pld_search.search.kernel_parameters import fitted
from pld_search.search.observed_runs import Floats, Observed, shares_of
from pld_search.search.optuna.joint_sampler import JointSampler, Params, keys_asked, others_than, signs_of
from pld_search.search.space_filling import scrambled
from pld_search.spaces.domains import combinations, size
from pld_search.spaces.flat_space import FlatSpace, key_of

_WHOLE = 2048
"""A space with at most this many combinations is searched completely."""
_LOG_DRAWN = 9
_NEAR, _NEIGHBOURS = 6, 24
_BELIEF = 10.0
ENOUGH = 2
"""Minimum number of ended trials before another study can replace space-filling starts."""


class GaussianProcessSampler(JointSampler):
    """Improves on the study's trials; configurations are drawn from `tree`.

    shares: the share of a run, by the step at which a rung's value is reported. borrowed: values of other studies.
    """

    def __init__(
        self,
        space: FlatSpace,
        tree: Any,
        seed: int,
        shares: Mapping[int, float] | None = None,
        borrowed: Observed | None = None,
    ) -> None:
        super().__init__(space, seed)
        self._tree, self._shares, self._borrowed = tree, shares or {}, borrowed

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002  all of it is answered
    ) -> Params:
        """Returns the new candidate with the largest worth; a random candidate before two trials have values."""
        others = others_than(trial, study)
        seen = Seen.of(others, study.directions, self._random, self._shares)
        asked = keys_asked(others)
        candidates = [params for params in self._candidates(seen) if key_of(params) not in asked]
        if not candidates:
            return self._space.params_at(self._drawn())
        if len(seen.ends) < 2:
            return candidates[int(self._random.integers(len(candidates)))]
        return candidates[int(np.argmax(self._worth(seen, candidates)))]

    def helped(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the values of another study help to predict this study's values (kernel_parameters.py); False while
        fewer than ENOUGH trials have ended.
        """
        seen = Seen.of(others_than(trial, study), study.directions, self._random, self._shares)
        if self._borrowed is None or len(seen.ends) < ENOUGH:
            return False
        every = self._borrowed.and_also(seen.observed(self._space))
        return bool(np.isfinite(fitted(every, self._space.columns, shares_of(every)).kin).any())

    def _candidates(self, seen: Seen) -> list[Params]:
        """Returns the whole space when it is small; else evenly spread points and neighbours of the best
        configurations.
        """
        count = size(self._tree)
        if count is not None and count <= _WHOLE:
            return list(combinations(self._tree))
        drawn = scrambled(len(self._space), _LOG_DRAWN, self._random)
        points = [self._space.params_at(positions) for positions in drawn]
        for params in seen.best(_NEAR):
            centre = np.array(self._space.positions(params))
            for scale in np.geomspace(0.2, 0.01, _NEIGHBOURS):
                moved = centre + scale * self._random.standard_normal(len(centre))
                chosen = self._random.random(len(centre)) < max(0.3, 1 / len(centre))
                points.append(self._space.params_at(np.clip(np.where(chosen, moved, centre), 0, 1 - 1e-12)))
        return list({key_of(params): params for params in points}.values())

    def _worth(self, seen: Seen, candidates: Sequence[Params]) -> Floats:
        """Returns, for each candidate, a product of three factors: the expected improvement on the best mean of ended
        trials; the prior belief, which fades as data grows (Hvarfner et al. 2022, arXiv:2204.11051, equation 6); and
        the probability that no constraint is violated.
        """
        columns, observed = self._space.columns, seen.observed(self._space)
        if self._borrowed is not None:
            observed = self._borrowed.and_also(observed)
        ended, found = self._space.encoded([params for params, _ in seen.ends]), self._space.encoded(candidates)
        model = GaussianProcess(observed, columns)
        if seen.pending:  # pending configurations count as if each had ended at its mean
            waiting = self._space.encoded(seen.pending)
            believed = Observed.ends(waiting, model.predict(waiting)[0], first_run=len(seen.ends) + len(seen.rungs))
            model = GaussianProcess(observed.and_also(believed), columns, model.parameters)
            ended = np.vstack([ended, waiting])
        mean, sd = model.predict(found)
        worth = expected_improvement(mean, sd, float(model.predict(ended)[0].min()))
        beliefs = np.array([self._space.believed(params) for params in candidates])
        worth = worth * np.exp(_BELIEF / len(seen.ends) * beliefs)
        for violations in seen.limits:
            known = Observed.ends(self._space.encoded([params for params, _ in seen.ends]), violations)
            risk, spread = GaussianProcess(known, columns).predict(found)
            worth = worth * ndtr(-risk / spread)
        return worth


class Seen:
    """The results of trials: signed values at their ends, the values at the rungs of all trials, configurations that
    are still open, and for each constraint the violations of the ended trials.
    """

    def __init__(
        self,
        ends: list[tuple[Params, float]],
        rungs: list[tuple[Params, int | None, dict[float, float]]],
        pending: list[Params],
        limits: list[Floats],
    ) -> None:
        self.ends, self.rungs, self.pending, self.limits = ends, rungs, pending, limits

    @classmethod
    def of(
        cls,
        trials: Sequence[FrozenTrial],
        directions: Sequence[StudyDirection],
        random: np.random.Generator,
        shares: Mapping[int, float],
    ) -> Seen:
        """Collects the results. A trial that was told PRUNED with a violated constraint counts with the worst value
        seen. A trial that was stopped at a rung counts with its values by rung (`shares`: share of a run by reported
        step). A trial without values is open.
        """
        signs = signs_of(directions)
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        vectors = [signs * np.array(trial.values) for trial in done]
        params = [trial.params for trial in done]
        known = {key_of(each) for each in params}  # a trial that was given up may have ended in its retry
        stopped, pending = [], []
        for trial in (
            each for each in trials if each.state != TrialState.COMPLETE and key_of(each.params) not in known
        ):
            if any(value > 0 for value in trial.constraints.values()):
                if vectors:
                    params.append(trial.params)
                    vectors.append(np.max(vectors, axis=0))
            elif _at_rungs(trial, shares):
                stopped.append(trial)
            elif trial.state != TrialState.FAIL:
                pending.append(trial.params)
        values = _one_number(np.array(vectors).reshape(-1, len(signs)), random)
        rungs: list[tuple[Params, int | None, dict[float, float]]] = [
            (trial.params, end, {share: signs[0] * value for share, value in _at_rungs(trial, shares).items()})
            for trial, end in [*zip(done, range(len(done)), strict=True), *((trial, None) for trial in stopped)]
        ]
        ends = list(zip(params, values.tolist(), strict=True))
        return cls(ends, rungs, pending, _limits(done) if len(params) == len(done) else [])

    def best(self, count: int) -> list[Params]:
        """Returns the `count` configurations with the least values at the end."""
        return [params for params, _ in sorted(self.ends, key=lambda each: each[1])[:count]]

    def observed(self, space: FlatSpace) -> Observed:
        """Returns all values; each trial is a run."""
        found = Observed.ends(space.encoded([params for params, _ in self.ends]), np.array([v for _, v in self.ends]))
        rows = [
            (params, len(self.ends) + number if end is None else end, share, value)
            for number, (params, end, values) in enumerate(self.rungs)
            for share, value in values.items()
        ]
        if not rows:
            return found
        points, runs, shares, values = zip(*rows, strict=True)
        return found.and_also(Observed(space.encoded(points), np.array(values), np.array(shares), np.array(runs)))


def _at_rungs(trial: FrozenTrial, shares: Mapping[int, float]) -> dict[float, float]:
    """Returns the values of a trial by the share of the run (searches of one objective)."""
    return {shares[step]: value for step, value in trial.intermediate_values.items() if step in shares}


def _one_number(vectors: Floats, random: np.random.Generator) -> Floats:
    """Reduces signed values to one number; several objectives by a random weighting of their ranges (augmented
    Tchebycheff).
    """
    if vectors.shape[1] == 1 or not len(vectors):
        return vectors[:, 0]
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    scaled = (vectors - low) / np.where(high > low, high - low, 1.0)
    weights = random.dirichlet(np.ones(vectors.shape[1]))
    return np.asarray((weights * scaled).max(axis=1) + 0.05 * (weights * scaled).sum(axis=1))


def _limits(done: Sequence[FrozenTrial]) -> list[Floats]:
    """Returns violations by constraint, for constraints that some trials violated and some did not. Divergence is
    already part of the value.
    """
    names = {name for trial in done for name in trial.constraints if not name.startswith("divergence/")}
    columns = [np.array([trial.constraints.get(name, 0.0) for trial in done]) for name in sorted(names)]
    return [column for column in columns if (column > 0).any() and (column <= 0).any()]
