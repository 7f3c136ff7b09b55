"""Recommends a sampled configuration: the least mean of a model of all data, instead of the luckiest seed.

The recommendation is recorded once a search is over, with every prediction behind it. The record of the parameters'
effects (explanation.py) and of the possible gain of more trials (remaining_improvement.py) follow. The same data is
never computed again. Confirmation and report read the records.
"""

from __future__ import annotations

from pld_search.frozen import digest_of
from pld_search.records.study_events import SearchExplained, SearchRecommended
from pld_search.records.trial_record import TrialRecord
from pld_search.search.explanation import explained
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.ledger import Ledger
from pld_search.search.observations import LEAST, observations, observed
from pld_search.search.remaining_improvement import Assessor
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.early_stopping import Branching
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study


class Recommender:
    """Recommends for searches of one objective; does nothing for a study that was begun by version 0.1."""

    def __init__(self, ledger: Ledger, study: Study) -> None:
        self._ledger, self._study = ledger, study

    def recommend(self) -> None:
        """Records the recommendation, unless the last recommendation rests on the same data."""
        created = self._ledger.study.created
        if self._study.search is None or len(self._study.objectives) > 1 or created is None or created.starts is None:
            return
        trials = [trial for trial in sampled_for(self._ledger, None) if trial.complete]
        candidates = [trial for trial in trials if trial.feasible]
        if not candidates:
            return
        space, rule = FlatSpace(self._study.experiment), self._study.search.early_stopping
        shares = [float(share) for share in rule.shares] if isinstance(rule, Branching) else []
        rows = observations(self._ledger, self._study, space, shares)
        digest = digest_of([[list(row) for row in rows], [trial.number for trial in candidates]])
        recommended, said = self._ledger.study.recommended, self._ledger.study.explained
        known = sum(row.share == 1.0 for row in rows)
        if known < LEAST:
            if recommended is None or recommended.data_digest != digest:
                self._ledger.write(self._least(candidates, known, digest))
            return
        if recommended is None or said is None or {recommended.data_digest, said.data_digest} != {digest}:
            model = GaussianProcess(observed(self._ledger, self._study, space, rows), space.columns)
            if recommended is None or recommended.data_digest != digest:
                self._ledger.write(self._by_model(model, candidates, space, digest))
            found = explained(model, space, self._study.objectives.first.sign)
            self._ledger.write(SearchExplained(found["parameters"], found["interactions"], digest, known))
        Assessor(self._ledger, self._study).assess()

    def _least(self, candidates: list[TrialRecord], known: int, digest: str) -> SearchRecommended:
        sign = self._study.objectives.first.sign
        order = sorted(candidates, key=lambda trial: (sign * _value(trial), trial.number))
        return SearchRecommended(
            trial=order[0].number,
            ranking=[trial.number for trial in order],
            by="least value",
            reason=f"{known} configurations have a value, and a model needs {LEAST}",
            data_digest=digest,
        )

    def _by_model(
        self, model: GaussianProcess, candidates: list[TrialRecord], space: FlatSpace, digest: str
    ) -> SearchRecommended:
        sign, numbers = self._study.objectives.first.sign, [trial.number for trial in candidates]
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
