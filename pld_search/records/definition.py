"""The parts of a recorded study's definition that readers of records show.

`spaces` reads the whole definition (Study.from_definition) and knows every key. A reader of records must also
understand definitions of earlier versions, so it reads only these few keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pld_search.schedules.units import parse_ratio


@dataclass(frozen=True, slots=True)
class StudyDefinition:
    """A definition as it was recorded, canonical; empty before the study is created."""

    tree: Mapping[str, Any]

    @property
    def about(self) -> str:
        """The study's own description; empty if it has none."""
        return str(self.tree.get("about") or "")

    @property
    def systems(self) -> tuple[str, ...]:
        """The names of its systems, in order."""
        return tuple(system["name"] for system in self.tree.get("systems") or ())

    def experiment_of(self, system: str | None) -> Mapping[str, Any]:
        """Returns the experiment tree of a system (None: of the search); empty if there is none."""
        if system is None:
            return self.tree.get("experiment") or {}
        trees = {each["name"]: each.get("tree") for each in self.tree.get("systems") or ()}
        return trees.get(system) or {}

    def budget_share(self, system: str | None) -> float:
        """Returns a system's share of the study's budget; 1 for all systems that are compared."""
        written = self.experiment_of(system).get("budget_share")
        return 1.0 if written is None else parse_ratio(written)

    @property
    def sampler(self) -> str | None:
        """The sampler of its search; None for a study without a search."""
        search = self.tree.get("search")
        return search.get("sampler") if isinstance(search, Mapping) else None

    @property
    def reference(self) -> str | None:
        """The system to which the others are compared."""
        return self.tree.get("reference")

    @property
    def budget(self) -> Mapping[str, Any]:
        """The budget of a run by unit (steps, tokens, flops, seconds); an amount that is not stated is None."""
        budget = self.tree.get("budget")
        return {key: amount for key, amount in budget.items() if key != "equal"} if isinstance(budget, Mapping) else {}

    @property
    def equal(self) -> str | None:
        """The quantity that all systems share, `flops`, `steps` or `seconds`; None if none is stated."""
        budget = self.tree.get("budget")
        return budget.get("equal") if isinstance(budget, Mapping) else None
