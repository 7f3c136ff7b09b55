"""Specs in YAML files: the file of a study, and the files that a launcher passes to `train`. Files are written
atomically, and reading reports every problem at its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pld_search.errors import KeyPath
from pld_search.host.disk import expanded, write_atomically
from pld_search.schedules.library import path_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import is_place
from pld_search.specs.yaml_io import dump, load_file

Value = TypeVar("Value", bound=BaseModel)


def write(path: Path, value: BaseModel, about: str = "") -> None:
    """Writes `value` as YAML with every key stated, and `about` as a comment. A concurrent reader sees the old file or
    the new file.
    """
    write_atomically(path, written(value, about))


def written(value: BaseModel, about: str = "") -> str:
    """Returns the YAML of `value`, with every key stated and `about` as a comment on top."""
    lines = "".join(f"# {line}\n" for line in about.splitlines())
    return lines + dump(value.model_dump(mode="json", by_alias=True))


def read(cls: type[Value], path: Path) -> Value:
    """Reads a `cls` from a YAML file. Raises ConfigError with every problem."""
    return check(cls, load_file(path))


def read_experiment(path: Path) -> Experiment:
    """Reads the Experiment in `path`."""
    return read(Experiment, path)


def write_experiment(path: Path, experiment: Experiment) -> None:
    """Writes an Experiment; reading it back gives an equal value and so the same digest."""
    write_atomically(path, written_experiment(experiment))


def written_experiment(experiment: Experiment) -> str:
    """Returns the text of an Experiment's file."""
    return written(experiment, f"What this run is. Its identity is the seed and\n{experiment.digest}")


def read_execution(path: Path) -> Execution:
    """Reads the Execution in `path`."""
    return read(Execution, path)


def write_execution(path: Path, execution: Execution) -> None:
    """Writes an Execution."""
    write(
        path,
        execution,
        "How this run is executed, and where what it names lies. Nothing here changes a result beyond rounding.",
    )


def study_file(source: str | Path, path: KeyPath = ()) -> Path:
    """Returns the file of a study, given as a place or as the name of a shipped study. Raises ConfigError, for the key
    `path`, for an unknown name.
    """
    return expanded(source) if isinstance(source, Path) or is_place(source) else path_of(source, "spaces", path=path)
