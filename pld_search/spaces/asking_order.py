"""The order in which a study's configurations are asked: systems as written, tuning trials in turn, then the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal

from pld_search.spaces.study import Study

Place = tuple[Literal["system", "tuning", "sampled"], str | None]
"""(kind of the trial, its system); the system is None for the search, and for a study that is one run."""


def next_place(
    study: Study, asked: Mapping[Place, int], exhausted: Callable[[str | None], bool] | None = None
) -> Place | None:
    """What the next configuration is for; None when everything was asked.

    asked: configurations by place so far; of tuning and search the rejected ones are not counted. exhausted: whether
    the space of a tuned system, or (None) of the search, has nothing more to give. Of the tuned systems the one with
    the fewest comes first, so that each sampler learns between its questions.
    """
    for name in _untuned(study):
        if not asked.get(("system", name)):
            return "system", name

    def closed(system: str | None) -> bool:
        return exhausted is not None and exhausted(system)

    counts = {system.name: asked.get(("tuning", system.name), 0) for system in study.systems if system.tune}
    limits = {system.name: system.tune or 0 for system in study.systems}
    left = [name for name, count in counts.items() if count < limits[name] and not closed(name)]
    if left:
        return "tuning", min(left, key=lambda name: counts[name])
    if study.search is not None and asked.get(("sampled", None), 0) < study.search.trials and not closed(None):
        return "sampled", None
    return None


def trial_numbers(study: Study) -> dict[str | None, list[int]]:
    """The trial numbers of every system where nothing is rejected; the search's trials follow them."""
    asked: Counter[Place] = Counter()
    numbers: dict[str | None, list[int]] = {}
    while (place := next_place(study, asked)) is not None and place[0] != "sampled":
        numbers.setdefault(place[1], []).append(asked.total())
        asked[place] += 1
    return numbers


def _untuned(study: Study) -> list[str | None]:
    """Systems without tuning; a study without systems and search is one run."""
    if not study.systems and study.search is None:
        return [None]
    return [system.name for system in study.systems if not system.tune]
