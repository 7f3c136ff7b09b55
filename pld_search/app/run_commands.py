"""The commands that would start a study's runs, with the trial numbers that apply when no configuration is rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.records.study_record import trial_folder
from pld_search.records.trial_record import TUNING
from pld_search.search.launch_command import Start, train_command
from pld_search.spaces.asking_order import trial_numbers
from pld_search.spaces.study import Study


class Commands:
    """Makes commands with the trial numbers of spaces/asking_order.py."""

    def __init__(self, study: Study, folder: Path, ranks: int, nodes: int = 1) -> None:
        self._study, self._folder, self._ranks, self._nodes = study, folder, ranks // nodes, nodes
        self._numbers = trial_numbers(study)

    def of_system(self, name: str | None) -> list[str]:
        """Returns the commands of every run of a system, or (None) of a study's only configuration. For a tuned system
        these are its tuning trials; with a grid of rates also its row.
        """
        seeds, numbers = range(self._study.seeds_of(name)), self._numbers[name]
        if name is not None and self._study.system(name).rates is not None:
            *grid, row = numbers
            tuning = [self._command(number, TUNING) for number in grid]
            return tuning + [self._command(row, index) for index in seeds]
        return [self._command(number, index) for number in numbers for index in seeds]

    def of_sampled(self, count: int, rungs: Sequence[Mapping[str, Any]] = ()) -> list[str]:
        """Returns the commands of every run of the `count`-th sampled trial (from 0): a part up to each rung, the
        branch that is ranked there, and the rest.
        """
        first = sum(len(numbers) for numbers in self._numbers.values())
        return [
            self._command(first + count, index, *part)
            for index in range(self._study.seeds_of(None))
            for part in _parts(rungs)
        ]

    def _command(self, trial: int, index: int, until: int | None = None, branch: int | None = None) -> str:

        return " ".join(
            train_command(Start(trial_folder(self._folder, trial, index), self._ranks, until, branch, self._nodes))
        )


def _parts(rungs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int | None, int | None]]:
    """Yields (until, branch) of each launch of a run that no rung stops."""
    for rung in rungs:
        yield rung["step"], None
        if rung["branch_steps"]:
            yield None, rung["step"]
    yield None, None
