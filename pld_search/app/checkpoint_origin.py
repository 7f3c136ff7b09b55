"""Finds the origin of a checkpoint: the run around it, the run's records, and the folders the run names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pld_search.app.run_files import EXECUTION, EXPERIMENT, execution_beside, experiment_in
from pld_search.app.study_folders import RECORDS
from pld_search.errors import ConfigError, Problem
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint's folder and the facts of its run, which are None outside of a run. `step`: completed steps of the
    weights.
    """

    checkpoint: Path
    step: int | None = None
    experiment: Experiment | None = None
    execution: Execution | None = None
    record: RunRecord | None = None

    @property
    def corpus(self) -> Path | None:
        """The folder of the run's corpus, as its execution names it."""
        return self._place(self.experiment.data.corpus if self.experiment is not None else None)

    @property
    def trained_length(self) -> int | None:
        """The number of positions that the run trained; None when unknown or when the run continued a checkpoint."""
        return (
            self.experiment.data.final_length
            if self.experiment is not None and self.experiment.model.checkpoint is None
            else None
        )

    @property
    def start(self) -> Path | None:
        """The folder of the checkpoint that the run started from."""
        return self._place(self.experiment.model.checkpoint if self.experiment is not None else None)

    def _place(self, digest: str | None) -> Path | None:
        place = self.execution.folders.get(digest) if self.execution is not None and digest is not None else None
        return None if place is None else Path(place)


def origin_of(source: Path) -> Origin:
    """Returns a run's newest complete checkpoint, or a checkpoint's folder with the run around it. Raises ConfigError
    for any other folder.
    """
    if not source.is_dir():
        raise ConfigError(Problem("no such folder", allowed="a run's folder, or a checkpoint's", given=str(source)))
    if (source / "config.json").is_file():
        return _with_run(source, checkpoint.step_of(source), _run_around(source))
    if (source / EXPERIMENT).is_file():
        saved = checkpoint.latest(source / CHECKPOINTS)
        if saved is None:
            raise ConfigError(Problem("this run has no whole checkpoint", given=str(source)))
        return _with_run(saved.folder, saved.step, source)
    if (source / RECORDS).is_file():
        raise ConfigError(
            Problem(
                "a study holds many runs; name one of them",
                allowed=f"{source}/trials/NUMBER/seed-INDEX",
                given=str(source),
            )
        )
    raise ConfigError(Problem(f"neither a run ({EXPERIMENT}) nor a checkpoint (config.json)", given=str(source)))


def _run_around(folder: Path) -> Path | None:
    """Returns the folder of the run that contains a checkpoint: RUN/checkpoints/step-N."""
    run = folder.absolute().parent.parent
    return run if folder.absolute().parent.name == CHECKPOINTS and (run / EXPERIMENT).is_file() else None


def _with_run(folder: Path, step: int | None, run: Path | None) -> Origin:

    if run is None:
        return Origin(folder, step)
    execution = execution_beside(run / EXPERIMENT) if (run / EXECUTION).is_file() else None
    record = fold_run(run)
    return Origin(folder, step, experiment_in(run / EXPERIMENT), execution, record if record.started else None)
