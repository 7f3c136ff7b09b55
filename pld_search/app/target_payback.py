"""The `target` of a study: the cost of one run at the target size, and the run from which the search has paid off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pld_search.app.winner_files import PLD, tree_of, winner_of
from pld_search.costs.payback import Payback, money
from pld_search.costs.seconds import full_depth_seconds
from pld_search.errors import ConfigError
from pld_search.spaces.domains import close, variants
from pld_search.spaces.resolve import Resolver, forecast_of
from pld_search.spaces.study import Budget, Study
from pld_search.spaces.target import at_target, target_budget
from pld_search.specs.experiment import Experiment
from pld_search.specs.written_schedules import schedule_tree


def payback(
    study: Study,
    resolver: Resolver,
    folder: Path,
    first_batch: Sequence[dict[str, Any]],
    search_seconds: float | None,
    price: float | None,
) -> Any:
    """Returns the cost of the target and when the search pays off, as JSON values; None for a study without a target.

    Every schedule trains the reference's architecture at the target size for the reference's steps there. Seconds are
    None when the target's architecture was not measured.
    """
    if study.target is None:
        return None
    target = TargetCost(study, resolver)
    about, steps, profile = target.reference.model, target.reference.steps, resolver.profile(target.reference)
    rows = []
    for label, schedule in candidates(study, target, folder, first_batch):
        saved, seconds = target.run(schedule)
        row: dict[str, Any] = {"schedule": label, "saved_flops": saved, "seconds": seconds}
        if profile is not None and search_seconds is not None and seconds is not None:
            found = Payback(
                label, search_seconds, full_depth_seconds(profile, about.layers, steps), seconds, study.target.runs
            )
            row |= {
                "saved_seconds": found.saved_seconds,
                "pays_from_run": found.from_run,
                "balance_seconds": found.balance_seconds,
            }
        rows.append(row)
    full = full_depth_seconds(profile, about.layers, steps) if profile is not None else None
    return {
        "layers": about.layers,
        "hidden": about.hidden,
        "steps": steps,
        "runs": study.target.runs,
        "profile": profile.said if profile is not None else None,
        "memory_gb": profile.memory_gb if profile is not None else None,
        "full_seconds": full,
        "full_money": money(full, price) if full is not None else None,
        "search_seconds": search_seconds,
        "candidates": rows,
    }


class TargetCost:
    """The cost of the reference's configuration at the target size, with any schedule."""

    def __init__(self, study: Study, resolver: Resolver) -> None:

        def resolver_of(budget: Budget) -> Resolver:
            return Resolver(
                study.model_copy(update={"budget": budget}), resolver.prepared, resolver.device_kind, resolver.profiles
            )

        self._tree = at_target(study, variants(study.tree_of(study.reference))[0])
        own = target_budget(study).model_copy(update={"equal": None})
        self.reference: Experiment = resolver_of(own).experiment(self._tree)
        self._resolver = resolver_of(Budget(steps=self.reference.steps))

    def run(self, schedule: Any) -> tuple[float, float | None]:
        """Returns the share of FLOPs that a run with this schedule saves, and its seconds (None when unknown)."""
        tree = self._tree.copy()
        tree["schedule"] = schedule
        experiment = self._resolver.experiment(tree)
        return forecast_of(experiment).saved_flops, self._resolver.forecast(experiment).get("forecast/seconds")


def candidates(
    study: Study, target: TargetCost, folder: Path, first_batch: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """Yields the schedules to show: pld (the study's, else the library's) and the winner. Before there is a winner, the
    known schedule with the largest saving is shown instead.
    """
    systems = {system.name: system for system in study.systems}
    yield PLD, _closed(systems[PLD].tree)["schedule"] if PLD in systems else schedule_tree(PLD)
    winner = winner_of(folder)
    if winner is not None:
        yield f"{winner.label}, the winner", tree_of(study, winner)["schedule"]
        return
    found = [
        (f"{name}, the largest saving in sight", _closed(system.tree)["schedule"]) for name, system in systems.items()
    ]
    found += [("the largest saving of the first batch", schedule) for schedule in _sampled(study, first_batch)]
    savings = [
        (saved, label, schedule) for label, schedule in found if (saved := _saving(target, schedule)) is not None
    ]
    if savings:
        _, label, schedule = max(savings, key=lambda item: item[0])
        yield label, schedule


def _closed(tree: Any) -> Any:

    return variants(tree)[0]


def _sampled(study: Study, first_batch: Sequence[dict[str, Any]]) -> Iterator[Any]:

    for row in first_batch:
        yield close(study.experiment, row["params"])["schedule"]


def _saving(target: TargetCost, schedule: Any) -> float | None:
    try:
        return target.run(schedule)[0]
    except ConfigError:
        return None  # it cannot be built at this size
