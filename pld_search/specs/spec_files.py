"""Specs in YAML files: where a study lies, and what a launcher hands to `train`, written atomically and read back with
every problem at its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pld_search.errors import KeyPath
from pld_search.host.disk import write_atomically
from pld_search.schedules.library import path_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import is_place
from pld_search.specs.yaml_io import dump, load_file

Value = TypeVar("Value", bound=BaseModel)


def write(path: Path, value: BaseModel, about: str = "") -> None:
    """Write `value` as YAML, every key stated; a reader sees the old file or the new one. `about` becomes a comment."""
    write_atomically(path, written(value, about))


def written(value: BaseModel, about: str = "") -> str:
    """The YAML of `value`, every key stated, with `about` as a comment on top."""
    lines = "".join(f"# {line}\n" for line in about.splitlines())
    return lines + dump(value.model_dump(mode="json", by_alias=True))


def read(cls: type[Value], path: Path) -> Value:
    """A `cls` from a YAML file. Raises ConfigError."""
    return check(cls, load_file(path))


def read_experiment(path: Path) -> Experiment:
    """The Experiment in `path`."""
    return read(Experiment, path)


def write_experiment(path: Path, experiment: Experiment) -> None:
    """Write an Experiment; reading it back gives the equal value and so the same digest."""
    write_atomically(path, written_experiment(experiment))


def written_experiment(experiment: Experiment) -> str:
    """The text of an Experiment's file."""
    return written(experiment, f"What this run is. Its identity is the seed and\n{experiment.digest}")


def read_execution(path: Path) -> Execution:
    """The Execution in `path`."""
    return read(Execution, path)


def write_execution(path: Path, execution: Execution) -> None:
    """Write an Execution."""
    write(
        path,
        execution,
        "How this run is executed, and where what it names lies. Nothing here changes a result beyond rounding.",
    )


def study_file(source: str | Path, path: KeyPath = ()) -> Path:
    """The file of a study: a place, or the name of a shipped one. Raises ConfigError, for the key `path`, for a name
    that there is not.
    """
    return (
        Path(source).expanduser()
        if isinstance(source, Path) or is_place(source)
        else path_of(source, "spaces", path=path)
    )
