"""A schedule as a picture and as the text of a file. `Schedule.plot` and `to_yaml` call this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.costs.expected_depth import refuse_misfits
from pld_search.report.print_style import printed, to_png
from pld_search.report.side_by_side_figure import column, save, schedules_figure
from pld_search.schedules.schedule import Schedule
from pld_search.specs.yaml_io import dump


@dataclass(frozen=True, slots=True)
class SchedulePicture:
    """The picture of one schedule over a run: keep probabilities, theta, the expected layers, the saving so far.

    A notebook shows it; `save` writes it; `figure` is matplotlib's.
    """

    schedule: Schedule
    steps: int
    layers: int

    @property
    def figure(self) -> Any:
        """A new matplotlib Figure."""
        with printed():
            return schedules_figure(
                [column(self._title, self.schedule, self.steps, self.layers)], self.steps, self.layers
            )

    def save(self, file: str | Path) -> None:
        """Writes it as PNG, SVG or PDF, by the suffix of the file's name. Raises OSError."""
        save([column(self._title, self.schedule, self.steps, self.layers)], self.steps, self.layers, Path(file))

    def _repr_png_(self) -> bytes:
        with printed():
            return to_png(self.figure)

    @property
    def _title(self) -> str:
        return self.schedule.name or "schedule"


def picture(schedule: Schedule, steps: int, layers: int) -> SchedulePicture:
    """Returns the picture of a schedule. Raises ConfigError when it is for another number of steps or layers."""
    refuse_misfits(schedule, steps, layers)
    return SchedulePicture(schedule, steps, layers)


def text(schedule: Schedule) -> str:
    """Returns the complete schedule as YAML, without empty texts and keys without a value."""
    tree = schedule.model_dump(mode="json")
    return dump({key: value for key, value in tree.items() if value not in (None, "")})
