"""Opens the backend that chooses a study's configurations. A study that declares every configuration asks no sampler,
opens no storage and does not load Optuna.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.by_name import by_name
from pld_search.records.trial_record import TrialRecord
from pld_search.search.ledger import Ledger
from pld_search.search.sampling import Asked, Backend, Samplers, Stopper
from pld_search.spaces.early_stopping import EarlyStopping
from pld_search.spaces.study import Study

_OPTUNA = "pld_search.search.optuna.backend:OptunaBackend"


def backend_of(study: Study) -> Backend:
    """Returns Optuna for a study that samples, in its search or to tune a system; DeclaredOnly for any other study."""
    if study.search is None and not any(system.tune for system in study.systems):
        return DeclaredOnly()
    found: Backend = by_name(_OPTUNA)()
    return found


class NoSamplers:
    """Knows no question and has nothing to be told."""

    def name(self, system: str | None) -> str:
        """Raises LookupError: no sampler belongs to the system."""
        raise LookupError(f"no sampler of {system or 'the search'}")

    def kind(self, system: str | None) -> str:
        """Raises LookupError: no sampler belongs to the system."""
        return self.name(system)

    def ask(self, system: str | None, tree: Any) -> tuple[Asked, Any] | None:  # noqa: ARG002  the protocol's signature
        """Raises LookupError: no sampler belongs to the system."""
        raise LookupError(self.name(system))

    def tell(self, trial: TrialRecord) -> None:
        """Ignores the trial, which no sampler gave."""

    def free_number(self, trial: TrialRecord) -> int | None:  # noqa: ARG002
        """Returns None: no sampler gave the trial."""
        return None

    def again(self, trial: TrialRecord) -> None:
        """Asks nothing: no sampler gave the trial."""

    def reconcile(self) -> None:
        """Does nothing."""

    def settled(self) -> bool:
        """Returns True: nothing is waiting to be told."""
        return True

    def close(self) -> None:
        """Does nothing: no storage is open."""


class DeclaredOnly:
    """Opens no samplers; such a study has no search, and so neither early stopping nor a preview of its questions."""

    def open(self, study: Study, ledger: Ledger, url: str | None) -> Samplers:  # noqa: ARG002
        """Returns samplers that know no question; `url` is not opened."""
        return NoSamplers()

    def stopper(self, rule: EarlyStopping, study: Study) -> Stopper:
        """Raises LookupError: a study without a search has no rule."""
        raise LookupError(f"no stopper of {rule.kind} in {study.name}")

    def preview(self, study: Study, count: int) -> Iterator[tuple[Asked, Any]]:  # noqa: ARG002
        """Yields nothing: the study has no search."""
        yield from ()
