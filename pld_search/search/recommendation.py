"""Which sampled configuration a search recommends: the least mean of a model of all data, not the luckiest seed.

Written once a search is over, as a record with every prediction it rests on. Records of the same data are never
computed again, and what confirms or reports the winner reads the record.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pld_search.frozen import digest_of
from pld_search.records.study_events import SearchRecommended
from pld_search.records.trial_record import TrialRecord
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.ledger import Ledger
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.domains import close
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study

LEAST = 5
"""Configurations with a value below which no model is fitted, and the least value is recommended."""


def observed_elsewhere(ledger: Ledger, study: Study, space: FlatSpace) -> list[tuple[dict[str, Any], float]]:
    """(parameters, value of the first objective) of systems and tuning trials whose configuration the search's space
    holds too.
    """
    found = []
    for trial in ledger.study.trials.values():
        if trial.kind != "sampled" and trial.system is not None and trial.told is not None and trial.told.values:
            params = space.find(close(study.tree_of(trial.system), trial.asked.params))
            if params is not None:
                found.append((params, trial.told.values[0]))
    return found


class Recommender:
    """Recommends for searches of one objective; nothing for a study that was begun by version 0.1."""

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._study = ledger, study

    def recommend(self) -> None:
        """Record the recommendation, unless the last one rests on the same data."""
        created = self._ledger.study.created
        if self._study.search is None or len(self._study.objectives) > 1 or created is None or created.starts is None:
            return
        trials = [trial for trial in sampled_for(self._ledger, None) if trial.complete]
        candidates = [trial for trial in trials if trial.feasible]
        if not candidates:
            return
        space = FlatSpace(self._study.experiment)
        data = [(dict(trial.asked.params), _value(trial)) for trial in trials]
        data += observed_elsewhere(self._ledger, self._study, space)
        digest = digest_of([*data, [trial.number for trial in candidates]])
        before = self._ledger.study.recommended
        if before is None or before.data_digest != digest:
            self._ledger.write(self._record(candidates, data, space, digest))

    def _record(
        self, candidates: list[TrialRecord], data: list[tuple[dict[str, Any], float]], space: FlatSpace, digest: str
    ) -> SearchRecommended:
        sign = self._study.objectives.first.sign
        numbers = [trial.number for trial in candidates]
        if len(data) < LEAST:
            order = sorted(candidates, key=lambda trial: (sign * _value(trial), trial.number))
            return SearchRecommended(
                trial=order[0].number,
                ranking=[trial.number for trial in order],
                by="least value",
                reason=f"{len(data)} configurations have a value, and a model needs {LEAST}",
                data_digest=digest,
            )
        model = GaussianProcess(
            space.encoded([params for params, _ in data]), sign * np.array([value for _, value in data])
        )
        mean, sd = model.predict(space.encoded([trial.asked.params for trial in candidates]))
        order_by_mean = sorted(range(len(numbers)), key=lambda index: (float(mean[index]), numbers[index]))
        return SearchRecommended(
            trial=numbers[order_by_mean[0]],
            ranking=[numbers[index] for index in order_by_mean],
            by="model",
            predicted=[
                {"trial": number, "mean": sign * float(mean[index]), "sd": float(sd[index])}
                for index, number in enumerate(numbers)
            ],
            data_digest=digest,
        )


def _value(trial: TrialRecord) -> float:
    assert trial.told is not None
    assert trial.told.values
    return trial.told.values[0]
