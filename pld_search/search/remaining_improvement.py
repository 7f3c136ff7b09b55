"""Estimates the improvement that a search could still find. The search's stopping rule uses the estimate, and a reader
can decide about more trials by it.

Functions are drawn from the posterior at the configurations that may be best. In each function the best configuration
is compared with the configuration that would be recommended now. A space of numbers is represented by sampled
configurations, and a better configuration may lie between them; the estimate is then a lower bound.
"""

from __future__ import annotations

import numpy as np

from pld_search.frozen import digest_of
from pld_search.records.study_events import SearchAssessed
from pld_search.records.trial_record import TrialRecord
from pld_search.search.gaussian_process import GaussianProcess, expected_improvement
from pld_search.search.ledger import Ledger
from pld_search.search.observations import LEAST, observations, observed
from pld_search.search.observed_runs import Floats
from pld_search.search.space_filling import candidates
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.early_stopping import Branching
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study, Until

_DRAWS = 400
_TOGETHER = 200
"""Number of configurations at which functions are drawn together: the configurations with the least lower bounds."""
_TERA = 1e12


def left_over(model: GaussianProcess, ended: Floats, others: Floats) -> tuple[Floats, float]:
    """Returns the differences (draws,) between the `ended` configuration with the least mean and the best of all
    configurations, and the largest expected improvement among `others`. Both arguments are points (n, columns).
    """
    means = model.predict(ended)[0]
    best = int(np.argmin(means))
    mean, sd = model.predict(others)
    chosen = np.argsort(mean - 2 * sd, kind="stable")[:_TOGETHER]
    drawn = model.draws(np.vstack([ended[[best]], ended, others[chosen]]), _DRAWS, seed=0)
    return drawn[:, 0] - drawn.min(axis=1), float(expected_improvement(mean, sd, float(means[best])).max())


class Assessor:
    """Estimates and records the remaining improvement, once for the same data and the same `until` rule."""

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._study = ledger, study
        self._until: Until | None = study.search.until if study.search is not None else None
        self._seen = -1

    def enough(self) -> bool:
        """Whether the study's `until` rule is met; always False for a study without the rule."""
        if self._until is None or len(self._study.objectives) > 1:
            return False
        if self._ledger.count != self._seen:
            self.assess()
            self._seen = self._ledger.count
        last = self._ledger.study.assessed
        return last is not None and last.enough and last.regret == self._until.regret

    def assess(self) -> None:
        """Records the remaining improvement, unless the last record rests on the same data and rule."""
        assert self._study.search is not None
        ended = [trial for trial in sampled_for(self._ledger, None) if trial.feasible]
        rule, space = self._study.search.early_stopping, FlatSpace(self._study.experiment)
        shares = [float(share) for share in rule.shares] if isinstance(rule, Branching) else []
        rows = observations(self._ledger, self._study, space, shares)
        terms = None if self._until is None else self._until.model_dump(mode="json")
        digest, last = digest_of([[list(row) for row in rows], terms]), self._ledger.study.assessed
        if not ended or sum(row.share == 1.0 for row in rows) < LEAST or (last and last.data_digest == digest):
            return
        model = GaussianProcess(observed(self._ledger, self._study, space, rows), space.columns)
        others = candidates(space, self._study.experiment, seed=len(ended))
        points = space.encoded([trial.asked.params for trial in ended])
        beyond, gain = left_over(model, points, space.encoded(others))
        confidence = None if self._until is None else float((beyond <= self._until.regret).mean())
        self._ledger.write(
            SearchAssessed(
                expected=float(beyond.mean()),
                gain=gain,
                tflop=_tflop(ended),
                data_digest=digest,
                regret=None if self._until is None else self._until.regret,
                confidence=confidence,
                enough=confidence is not None and self._until is not None and confidence >= self._until.confidence,
            )
        )


def _tflop(trials: list[TrialRecord]) -> float | None:
    """The forecast TFLOP of a whole run, mean over trials; None when none was forecast."""
    flops = [trial.asked.forecast.get("forecast/total_flops") for trial in trials]
    known = [each for each in flops if each is not None]
    return sum(known) / len(known) / _TERA if known else None
