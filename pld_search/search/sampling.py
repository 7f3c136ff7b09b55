"""What the search asks of whoever chooses configurations: protocols of a sampler backend and of its rules for stopping.

A backend is asked for configurations and told how they ended. `study.jsonl` is the truth: a backend is brought to what
the records know when a study is opened, so that it may lose everything it holds. Optuna is the backend that is shipped
(search/optuna/); the coordinator takes any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pld_search.records.trial_record import TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.spaces.early_stopping import Asha, EarlyStopping, Hyperband, Learned, Promotion
from pld_search.spaces.study import Study


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: the trial's number, its parameters and their distributions (JSON), as `asked` records
    hold them.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, Any]


class Samplers(Protocol):
    """Asked and told by system (None: the search)."""

    def name(self, system: str | None) -> str:
        """The name under which `asked` records find these questions again."""

    def kind(self, system: str | None) -> str:
        """The sampler: tpe, random or bruteforce."""

    def ask(self, system: str | None, tree: Any) -> tuple[Asked, Any] | None:
        """The next question and the tree with its answers; None while the backend cannot be reached."""

    def tell(self, trial: TrialRecord) -> None:
        """Learn how a recorded trial ended; nothing for one that no sampler gave. Telling twice changes nothing."""

    def free_number(self, trial: TrialRecord) -> int | None:
        """A new number for a trial that gets a new chance; None for one that no sampler gave."""

    def again(self, trial: TrialRecord) -> None:
        """Put the question of a trial that got a new number once more."""

    def reconcile(self) -> None:
        """Bring the backend to what the ledger knows. Raises StudyError where it holds another study."""

    def settled(self) -> bool:
        """Whether the backend knows everything it was told. Raises StudyError when that takes too long."""

    def close(self) -> None:
        """Give back what is open."""


class Stopper(Protocol):
    """A rule that stops runs at rungs by what others have shown."""

    def stops(self, trial: TrialRecord, trials: Iterable[TrialRecord]) -> bool:
        """Whether `trial` is stopped at its last rung, by what all `trials` have shown so far."""


class Backend(Protocol):
    """Opens samplers and makes stoppers."""

    def open(self, study: Study, ledger: Ledger, url: str | None) -> Samplers:
        """The samplers of a study, brought to what the ledger knows; `url` names a storage other than the study's own.
        Raises ConfigError, and StudyError where the storage is away or another study's.
        """

    def stopper(self, rule: EarlyStopping, study: Study) -> Stopper:
        """A rule of early stopping that is the backend's (not promotion, not dominance)."""

    def preview(self, study: Study, count: int) -> Iterator[tuple[Asked, Any]]:
        """The first `count` questions of a study's search and the trees with their answers, with nothing recorded."""


def step_of(rule: EarlyStopping, rung: int) -> int:
    """How rungs are counted (0, 1, ...) in `rung` records: successive halving multiplies, the others add."""
    return rule.eta**rung if isinstance(rule, Promotion | Learned | Asha | Hyperband) else rung + 1


def shares_by_step(rule: EarlyStopping) -> dict[int, float]:
    """The share of a run's FLOPs at each rung, by the rung's `step`."""
    return {step_of(rule, rung): float(share) for rung, share in enumerate(rule.shares)}
