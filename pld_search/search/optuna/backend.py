"""Optuna as the search's backend: its samplers, its pruners, its storages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna

from pld_search.search.ledger import Ledger
from pld_search.search.optuna.make_sampler import SamplerRequest, make_sampler
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.pruners import Pruner
from pld_search.search.optuna.samplers import open_samplers, sampler_of
from pld_search.search.optuna.storage import open_storage, open_study
from pld_search.search.sampling import STARTS, Asked, Samplers, Stopper
from pld_search.spaces.early_stopping import EarlyStopping
from pld_search.spaces.study import Study


class OptunaBackend:
    """The shipped backend. A subclass that overrides `sampler` searches with another Optuna sampler."""

    def sampler(self, request: SamplerRequest) -> optuna.samplers.BaseSampler:
        """Makes a fresh sampler for one question."""
        return make_sampler(request)

    def open(self, study: Study, ledger: Ledger, url: str | None) -> Samplers:
        """Opens the samplers of a study, in a journal of its folder or in the database of `url`."""
        return open_samplers(study, ledger, url, self.sampler)

    def stopper(self, rule: EarlyStopping, study: Study) -> Stopper:
        """Makes Optuna's pruner of a rule."""
        return Pruner(rule, study.name, study.objectives.first.direction)

    def preview(self, study: Study, count: int) -> Iterator[tuple[Asked, Any]]:
        """Yields the first questions of the search, asked of a study in a temporary folder."""
        assert study.search is not None
        with tempfile.TemporaryDirectory() as place:
            opened = open_study(open_storage(Path(place)), study.name, "plan", study.objectives.directions)
            asker = OptunaStudy(
                opened,
                sampler_of(study, None),
                study.search.seed,
                make=self.sampler,
                starts=STARTS,
                given=study.search.start_with,
            )
            for _ in range(min(count, study.search.trials)):
                yield asker.ask(study.experiment)
