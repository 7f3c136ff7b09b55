"""Reads and writes experiment and execution files in a run's folder."""

from __future__ import annotations

from pathlib import Path

from pld_search.errors import ConfigError, Problem
from pld_search.host.disk import write_atomically
from pld_search.records.run_record import fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.spec_files import read_execution, read_experiment, write_execution, write_experiment

EXPERIMENT, EXECUTION = "experiment.yaml", "execution.yaml"


def experiment_in(path: Path) -> Experiment:
    """Reads the Experiment in a file."""
    return read_experiment(existing(path, "experiment"))


def execution_beside(experiment: Path) -> Execution:
    """Reads the Execution in execution.yaml beside an experiment's file."""
    return read_execution(existing(experiment.parent / EXECUTION, "execution"))


def write_run(folder: Path, experiment: Experiment, execution: Execution) -> None:
    """Writes a run's experiment and execution into its folder, as a launcher does. Raises ConfigError when the folder
    belongs to another run.
    """
    from pld_search.training.attempt import check_same_run  # loads torch; most readers only look for files

    check_same_run(fold_run(folder), experiment, folder)
    file = folder / EXPERIMENT
    if not file.is_file():
        write_experiment(file, experiment)
    elif (there := experiment_in(file)) != experiment:
        given = f"{experiment.digest}, seed {experiment.seed}"
        raise ConfigError(
            Problem(
                f"{file} is of another run; give this one a folder of its own",
                allowed=f"{there.digest}, seed {there.seed}",
                given=given,
            )
        )
    if not (folder / EXECUTION).is_file() or execution_beside(file) != execution:
        write_execution(folder / EXECUTION, execution)


def run_of(checkpoint: Path) -> Path:
    """Returns the nearest experiment.yaml above a checkpoint's folder. Raises ConfigError."""
    for folder in (checkpoint.absolute(), *checkpoint.absolute().parents):
        if (folder / EXPERIMENT).is_file():
            return folder / EXPERIMENT
    raise ConfigError(
        Problem(f"no {EXPERIMENT} beside or above this checkpoint; name one with --experiment", given=str(checkpoint))
    )


def existing(path: Path, what: str) -> Path:
    """Returns `path` when it is a file. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(Problem(f"no {what} file there", given=str(path)))
    return path


def write_new(path: Path, text: str) -> None:
    """Writes a new file; a file with the same text may exist already. Raises ConfigError for a file with other
    content.
    """
    if path.exists():
        if path.is_file() and path.read_bytes() == text.encode():
            return
        raise ConfigError(
            Problem("--out is already there and holds something else; nothing is overwritten", given=str(path))
        )
    write_atomically(path, text)
