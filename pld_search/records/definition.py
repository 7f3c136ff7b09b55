"""What a recorded study says of itself: the parts of its definition that readers of records show.

The whole of it is read by `spaces` (Study.from_definition), which knows every key. A reader of records must also
understand definitions of earlier versions, of which it takes these few keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pld_search.schedules.units import parse_ratio


@dataclass(frozen=True, slots=True)
class StudyDefinition:
    """A definition as it was recorded, canonical; empty before the study was created."""

    tree: Mapping[str, Any]

    @property
    def about(self) -> str:
        """What the study says it is about; empty where it says nothing."""
        return str(self.tree.get("about") or "")

    @property
    def systems(self) -> tuple[str, ...]:
        """The names of its systems, in their order."""
        return tuple(system["name"] for system in self.tree.get("systems") or ())

    def experiment_of(self, system: str | None) -> Mapping[str, Any]:
        """The experiment of a system as a tree; None: of what the search samples. Empty where there is none."""
        if system is None:
            return self.tree.get("experiment") or {}
        trees = {each["name"]: each.get("tree") for each in self.tree.get("systems") or ()}
        return trees.get(system) or {}

    def budget_share(self, system: str | None) -> float:
        """Which part of the study's budget a system has; 1 for all that are compared."""
        written = self.experiment_of(system).get("budget_share")
        return 1.0 if written is None else parse_ratio(written)

    @property
    def sampler(self) -> str | None:
        """How its search chooses configurations; None for a study without a search."""
        search = self.tree.get("search")
        return search.get("sampler") if isinstance(search, Mapping) else None

    @property
    def reference(self) -> str | None:
        """The system that the others are compared with."""
        return self.tree.get("reference")

    @property
    def budget(self) -> Mapping[str, Any]:
        """What a run may spend, by its unit (steps, tokens, flops, seconds); an amount that is not stated is None."""
        budget = self.tree.get("budget")
        return {key: amount for key, amount in budget.items() if key != "equal"} if isinstance(budget, Mapping) else {}

    @property
    def equal(self) -> str | None:
        """What all systems spend alike: `flops` or `steps`; None where nothing is said."""
        budget = self.tree.get("budget")
        return budget.get("equal") if isinstance(budget, Mapping) else None
