"""The first questions of a search that learns from other studies (`learn_from`).

The questions are the space-filling configurations that the search would ask without other studies, so a misleading
study costs no run. Their order shows soonest whether another study helps: first the configuration with the best and
the configuration with the worst value by the other studies. Once the ended trials show that another study helps, the
learner answers in place of the remaining configurations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.observed_runs import Floats, Observed
from pld_search.search.optuna.gp_sampler import GaussianProcessSampler
from pld_search.search.optuna.joint_sampler import Params
from pld_search.search.optuna.space_filling_sampler import SpaceFilling
from pld_search.spaces.flat_space import FlatSpace


class InformedStarts(SpaceFilling):
    """Space-filling starts, ordered and cut short by the values of other studies, then `learner`."""

    def __init__(
        self,
        space: FlatSpace,
        starts: int,
        start_seed: int,
        learner: GaussianProcessSampler,
        borrowed: Observed,
        given: Sequence[Params] = (),
    ) -> None:
        super().__init__(space, starts, start_seed, learner, given)
        self._informed, self._borrowed = learner, borrowed

    def _starting(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if trial.number < len(self._given):
            return True
        return super()._starting(study, trial) and not self._informed.helped(study, trial)

    def _points(self) -> list[Params]:
        points = super()._points()
        predicted = self._predicted(points[: self._starts])
        best, worst = int(np.argmin(predicted)), int(np.argmax(predicted))
        others = [params for place, params in enumerate(points) if place not in (best, worst)]
        return [points[best], *([points[worst]] if worst != best else []), *others]

    def _predicted(self, points: Sequence[Params]) -> Floats:
        """Returns the value of each point by the other studies (n,), in units of a study's deviation; the mean over
        studies.
        """
        found = []
        for study in np.unique(self._borrowed.studies):
            there = self._borrowed.of(self._borrowed.studies == study)
            ends = Observed.ends(there.points, there.values)
            mean = GaussianProcess(ends, self._space.columns).predict(self._space.encoded(points))[0]
            found.append((mean - there.values.mean()) / (float(there.values.std()) or 1.0))
        return np.asarray(np.mean(found, axis=0))
