"""All Optuna studies of one study: one for each tuned system and one for the search, in one storage that may be away
for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from pld_search.errors import StudyError
from pld_search.records.study_events import StorageChanged
from pld_search.records.trial_record import Question, TrialRecord
from pld_search.search.borrowed import borrowed_values
from pld_search.search.ledger import Ledger
from pld_search.search.observations import observed_elsewhere
from pld_search.search.observed_runs import Observed
from pld_search.search.optuna.distributions import as_observed
from pld_search.search.optuna.make_sampler import make_sampler
from pld_search.search.optuna.optuna_study import MakeSampler, OptunaStudy
from pld_search.search.optuna.pruners import make_pruner
from pld_search.search.optuna.storage import StorageAway, close_storage, open_storage, open_study
from pld_search.search.sampling import Asked, shares_by_step
from pld_search.spaces.domains import size
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study

AGAIN = 2.0  # seconds between two attempts to reach a storage that is away
PATIENCE = 1800.0  # seconds after which a study that cannot go on without its storage gives up


class OptunaSamplers:
    """Asks and tells by system (None: the search). While the storage is away, nothing is asked and results wait."""

    def __init__(
        self,
        ledger: Ledger,
        storage: BaseStorage | None,
        studies: Mapping[str | None, OptunaStudy],
        clock: Callable[[], float] = time.monotonic,
        study: Study | None = None,
    ) -> None:
        self._study, self._starts = study, starts_recorded(ledger)
        self._ledger, self._storage, self._studies, self._clock = ledger, storage, studies, clock
        self._away_since: float | None = None
        self._tried = 0.0

    def name(self, system: str | None) -> str:
        """Returns the name of the Optuna study of a system; None is the search itself."""
        return self._studies[system].name

    def kind(self, system: str | None) -> str:
        """Returns the sampler's kind: gp, tpe, random or bruteforce."""
        return self._studies[system].sampler

    def ask(self, system: str | None, tree: Any) -> tuple[Asked, Any] | None:
        """Returns the next question and the tree with its answers; None while the storage is away."""
        if not self._worth_trying():
            return None
        try:
            found = self._studies[system].ask(tree, self._waiting(system), self.observed(system, tree))
        except StorageAway as away:
            self._note(str(away))
            return None
        self._note(None)
        return found

    def tell(self, trial: TrialRecord) -> None:
        """Tells how a recorded trial ended; ignores a trial that no sampler gave."""
        for question in trial.questions()[-1:]:
            self._studies[trial.system].tell(question)

    def _waiting(self, system: str | None) -> list[Question]:
        """Returns the questions that wait at a rung: RUNNING in the storage, with known values."""
        waiting = [trial for trial in self._ledger.index.unsettled if trial.system == system and trial.waits]
        return [trial.questions()[-1] for trial in waiting]

    def observed(self, system: str | None, tree: Any) -> list[FrozenTrial]:
        """Returns the results of systems and their tuning whose configurations also lie in the search's space; empty
        for a search of several objectives and for a study of version 0.1.
        """
        if system is not None or self._study is None or len(self._study.objectives) > 1 or not self._starts:
            return []
        space = FlatSpace(tree)
        return [
            as_observed(params, value, space) for params, value in observed_elsewhere(self._ledger, self._study, space)
        ]

    def free_number(self, trial: TrialRecord) -> int | None:
        """Returns a new number for a retried trial; None for a trial that no sampler gave."""
        return self._studies[trial.system].free_number if trial.questions() else None

    def again(self, trial: TrialRecord) -> None:
        """Asks the question of a retried trial again under its new number."""
        for question in trial.questions()[-1:]:
            self._studies[trial.system].again(question)

    def settled(self) -> bool:
        """Whether the storage knows everything; pending results are told once the storage can be reached. Raises
        StudyError when the storage stays away too long.
        """
        if self._away_since is not None and self._clock() - self._away_since > PATIENCE:
            raise StudyError(
                "the Optuna storage cannot be reached; every result is in study.jsonl, and the same command goes on"
            )
        if not self._worth_trying():
            return False
        try:
            for study in self._studies.values():
                study.settle()
        except StorageAway as away:
            self._note(str(away))
            return False
        self._note(None)
        return True

    def reconcile(self) -> None:
        """Brings every study up to date with the ledger. Raises StudyError when a storage holds another study."""
        for study in self._studies.values():
            study.reconcile(_questions(self._ledger, study.name))

    def close(self) -> None:
        """Closes the storage."""
        if self._storage is not None:
            close_storage(self._storage)

    def _worth_trying(self) -> bool:
        return self._away_since is None or self._clock() - self._tried > AGAIN

    def _note(self, away: str | None) -> None:
        """Records that the storage went away or came back."""
        self._tried = self._clock()
        if (away is None) == (self._away_since is None):
            return
        self._away_since = None if away is None else self._tried
        self._ledger.write(StorageChanged(away=away is not None, reason=away))


def open_samplers(study: Study, ledger: Ledger, url: str | None, make: MakeSampler = make_sampler) -> OptunaSamplers:
    """Opens Optuna's studies, up to date with the ledger; `make` makes a fresh sampler for each question.

    Raises ConfigError, and StudyError when the storage is away or belongs to another study.
    """
    tuned: list[str | None] = [system.name for system in study.systems if system.tune]
    names = [*tuned, None] if study.search is not None else tuned
    storage = open_storage(ledger.folder, url) if names else None
    studies: dict[str | None, OptunaStudy] = {}
    for name in names:
        assert storage is not None
        objectives = study.objectives.only_first if name else study.objectives
        full_name = f"{study.name}/{name}" if name else study.name
        opened = open_study(storage, full_name, ledger.study.id, objectives.directions)
        rule = study.search.early_stopping if study.search is not None and name is None else None
        pruner = make_pruner(rule) if rule is not None else None
        seed = study.search.seed if study.search else 0
        given, borrowed = known_before(study, ledger) if name is None else ((), None)
        shares = shares_by_step(rule) if rule is not None else None
        studies[name] = OptunaStudy(
            opened, sampler_of(study, name), seed, pruner, make, starts_recorded(ledger), shares, given, borrowed
        )
    samplers = OptunaSamplers(ledger, storage, studies, study=study)
    samplers.reconcile()
    return samplers


def known_before(study: Study, ledger: Ledger) -> tuple[Sequence[Mapping[str, Any]], Observed | None]:
    """Returns the search's first questions, and the final values of other studies that it learns from."""
    if study.search is None:
        return (), None
    sign = study.objectives.first.sign
    return study.search.start_with, borrowed_values(ledger.study, sign, FlatSpace(study.experiment))


def _questions(ledger: Ledger, name: str) -> Sequence[Question]:
    trials = [trial for trial in ledger.study.trials.values() if trial.asked.sampler_study == name]
    return [question for trial in trials for question in trial.questions()]


def starts_recorded(ledger: Ledger) -> int | None:
    """Returns the number of space-filling questions, as recorded at the study's creation; None for version 0.1."""
    created = ledger.study.created
    return None if created is None else created.starts


def sampler_of(study: Study, system: str | None) -> str:
    """Returns the sampler of a system or of the search (None), with `auto` resolved: `gp` for one objective, `tpe` for
    several. When the search uses brute force and a space has infinitely many points, TPE samples that space.
    """
    kind = study.search.sampler if study.search is not None else "auto"
    if kind == "auto":
        return "gp" if system is not None or len(study.objectives) == 1 else "tpe"
    return "tpe" if kind == "bruteforce" and size(study.tree_of(system)) is None else kind
