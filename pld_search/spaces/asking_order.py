"""The order in which a study's configurations are asked: systems as written, tuning trials in turn, rows of tuned
rates, then the search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal

from pld_search.spaces.study import Study

Place = tuple[Literal["system", "tuning", "sampled"], str | None]
"""(kind of the trial, its system). The system is None for the search, and for a study that is one run."""
Tuned = Literal["tuned", "open", "failed"]
"""The state of a grid of rates: the row's rate is known, not known yet, or cannot be known."""


def next_place(
    study: Study,
    asked: Mapping[Place, int],
    exhausted: Callable[[str | None], bool] | None = None,
    tuned: Callable[[str], Tuned] | None = None,
) -> Place | None:
    """Returns the purpose of the next configuration. Returns None when every configuration was asked, and when the next
    one waits for a grid of rates.

    asked: configurations by place so far. Rejected configurations of the search and of tuning by a sampler are not
    counted.
    exhausted: whether the space of a tuned system, or (None) of the search, has no configuration left.
    tuned: the state of a system's grid; without it every grid counts as tuned once it was asked.
    Among tuned systems, the one with the fewest trials comes first, so that each sampler learns between its trials.
    """
    for name in _untuned(study):
        if not asked.get(("system", name)):
            return "system", name

    def closed(system: str | None) -> bool:
        return exhausted is not None and exhausted(system)

    limits = {system.name: system.tuning_trials for system in study.systems if system.tuning_trials}
    counts = {name: asked.get(("tuning", name), 0) for name in limits}
    grids = [system.name for system in study.systems if system.rates is not None]
    left = [name for name, count in counts.items() if count < limits[name] and (name in grids or not closed(name))]
    if left:
        return "tuning", min(left, key=lambda name: counts[name])
    waiting = [name for name in grids if not asked.get(("system", name))]
    stand: dict[str, Tuned] = {name: "tuned" if tuned is None else tuned(name) for name in waiting}
    if "tuned" in stand.values():
        return "system", next(name for name in waiting if stand[name] == "tuned")
    if "open" in stand.values():
        return None  # so that the numbers of trials do not depend on how long runs take
    if study.search is not None and asked.get(("sampled", None), 0) < study.search.trials and not closed(None):
        return "sampled", None
    return None


def trial_numbers(study: Study) -> dict[str | None, list[int]]:
    """Returns the trial numbers of every system if nothing is rejected; the search's trials follow them. For a system
    with a grid of rates, the last number is its row and the numbers before are its tuning trials.
    """
    asked: Counter[Place] = Counter()
    numbers: dict[str | None, list[int]] = {}
    while (place := next_place(study, asked)) is not None and place[0] != "sampled":
        numbers.setdefault(place[1], []).append(asked.total())
        asked[place] += 1
    return numbers


def _untuned(study: Study) -> list[str | None]:
    """Returns the systems without tuning; a study without systems and search is one run."""
    if not study.systems and study.search is None:
        return [None]
    return [system.name for system in study.systems if not system.tuning_trials]
