"""Protocols between the search and the code that chooses configurations: a sampler backend and its stopping rules.

A backend is asked for configurations and is told how they ended. `study.jsonl` is the truth: when a study is opened,
the backend is brought up to date with the records, so a backend may lose its own state. Optuna is the shipped backend
(search/optuna/); the coordinator accepts any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pld_search.records.trial_record import TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.spaces.early_stopping import Asha, EarlyStopping, Hyperband, Learned, Promotion
from pld_search.spaces.study import Study

STARTS = 5
"""Number of space-filling questions of a search that learns; three for a space with one parameter."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: the number of the trial in the sampler's study, its parameters and their distributions (JSON), as in
    `asked` records.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, Any]


class Samplers(Protocol):
    """Samplers that are asked and told by system (None: the search)."""

    def name(self, system: str | None) -> str:
        """Returns the name under which `asked` records refer to the questions of a system."""

    def kind(self, system: str | None) -> str:
        """Returns the sampler's kind: gp, tpe, random or bruteforce."""

    def ask(self, system: str | None, tree: Any) -> tuple[Asked, Any] | None:
        """Returns the next question and the tree with its answers; None while the backend cannot be reached."""

    def tell(self, trial: TrialRecord) -> None:
        """Learns how a recorded trial ended; ignores a trial that no sampler gave. Telling twice changes nothing."""

    def free_number(self, trial: TrialRecord) -> int | None:
        """Returns a new number for a retried trial; None for a trial that no sampler gave."""

    def again(self, trial: TrialRecord) -> None:
        """Asks the question of a retried trial again under its new number."""

    def reconcile(self) -> None:
        """Brings the backend up to date with the ledger. Raises StudyError when the backend holds another study."""

    def settled(self) -> bool:
        """Whether the backend knows everything it was told. Raises StudyError when the backend stays away too long."""

    def close(self) -> None:
        """Closes the storage."""


class Stopper(Protocol):
    """A rule that stops runs at rungs by the values of other runs."""

    def stops(self, trial: TrialRecord, trials: Iterable[TrialRecord]) -> bool:
        """Whether `trial` is stopped at its last rung, given all `trials` so far."""


class Backend(Protocol):
    """Opens samplers and makes stoppers."""

    def open(self, study: Study, ledger: Ledger, url: str | None) -> Samplers:
        """Opens the samplers of a study, up to date with the ledger; `url` names a storage other than the study's own.
        Raises ConfigError, and StudyError when the storage is away or belongs to another study.
        """

    def stopper(self, rule: EarlyStopping, study: Study) -> Stopper:
        """Makes the stopper of a rule that the backend implements (not promotion, not dominance)."""

    def preview(self, study: Study, count: int) -> Iterator[tuple[Asked, Any]]:
        """Yields the first `count` questions of a study's search and the trees with their answers; records nothing."""


def step_of(rule: EarlyStopping, rung: int) -> int:
    """Returns the step of a rung (0, 1, ...) in `rung` records: eta**rung for successive halving, else rung + 1."""
    return rule.eta**rung if isinstance(rule, Promotion | Learned | Asha | Hyperband) else rung + 1


def shares_by_step(rule: EarlyStopping) -> dict[int, float]:
    """Returns the share of a run's FLOPs at each rung, by the rung's `step`."""
    return {step_of(rule, rung): float(share) for rung, share in enumerate(rule.shares)}
