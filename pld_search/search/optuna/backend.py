"""Optuna as the search's backend: its samplers, its pruners, its storages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna

from pld_search.search.ledger import Ledger
from pld_search.search.optuna.distributions import ask
from pld_search.search.optuna.pruners import Pruner
from pld_search.search.optuna.samplers import open_samplers
from pld_search.search.optuna.storage import open_storage, open_study
from pld_search.search.optuna.study import OptunaStudy, make_sampler
from pld_search.search.sampling import Asked, Samplers, Stopper
from pld_search.spaces.early_stopping import EarlyStopping
from pld_search.spaces.study import Study


class OptunaBackend:
    """The shipped backend. A subclass that overrides `sampler` searches with another sampler of Optuna's kind."""

    def sampler(self, kind: str, seed: int) -> optuna.samplers.BaseSampler:
        """A fresh sampler for one question, with a seed of its own."""
        return make_sampler(kind, seed)

    def open(self, study: Study, ledger: Ledger, url: str | None) -> Samplers:
        """The samplers of a study, in a journal of its folder or in the database of `url`."""
        return open_samplers(study, ledger, url, self.sampler)

    def stopper(self, rule: EarlyStopping, study: Study) -> Stopper:
        """Optuna's pruner of a rule."""
        return Pruner(rule, study.name, study.objectives.first.direction)

    def preview(self, study: Study, count: int) -> Iterator[tuple[Asked, Any]]:
        """The first questions of the search, asked of a study in a temporary folder."""
        assert study.search is not None
        with tempfile.TemporaryDirectory() as place:
            opened = open_study(open_storage(Path(place)), study.name, "plan", study.objectives.directions)
            asker = OptunaStudy(opened, study.search.sampler, study.search.seed, make=self.sampler)
            for _ in range(min(count, study.search.trials)):
                yield ask(asker, study.experiment)
