"""`evaluate CHECKPOINT`: validation and test loss and every task of the experiment, for the weights in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.run_files import EXPERIMENT, execution_beside, experiment_in, run_of
from pld_search.cli.options import Json, MachineFile
from pld_search.cli.output import emit, say
from pld_search.data.glue_server import FILES, glue_tables
from pld_search.errors import ConfigError, Problem

Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT_OR_RUN", help="A checkpoint's folder, or a run's folder (its newest checkpoint)."
    ),
]
ExperimentFile = Annotated[
    Path | None,
    typer.Option("--experiment", metavar="FILE", help="The experiment; default: found above the checkpoint."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help=("The folder that records fine-tuning; default: evaluations/ beside the experiment."),
    ),
]
GlueFiles = Annotated[
    Path | None,
    typer.Option(
        "--glue-files",
        metavar="DIR",
        help=("Also write predictions of GLUE's test sets, one file for each task, in the format of GLUE's server."),
    ),
]


def evaluate(
    checkpoint: Checkpoint,
    experiment: ExperimentFile = None,
    out: Out = None,
    glue_files: GlueFiles = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Score a checkpoint by its experiment's evaluation.

    --glue-files finds the test sets where a machine file names GLUE (`tasks: {glue: FOLDER}`), else on the hub.
    """
    if not checkpoint.is_dir():
        raise ConfigError(Problem("no checkpoint folder there", given=str(checkpoint)))
    if (checkpoint / EXPERIMENT).is_file():
        from pld_search.app.checkpoint_origin import origin_of  # loads torch

        checkpoint = origin_of(checkpoint).checkpoint
    file = experiment or run_of(checkpoint)
    what, how = experiment_in(file), execution_beside(file)
    tables = glue_tables(what, machine_of(machine)) if glue_files is not None else None
    # torch loads only for right files
    from pld_search.training.evaluation import evaluate_checkpoint
    from pld_search.training.glue_predictions import write_glue_files

    records = out or file.parent / "evaluations" / checkpoint.name
    scores = evaluate_checkpoint(what, how, checkpoint, records)
    if json:
        emit(scores)
    width = max(map(len, scores))
    for name, value in scores.items():
        say(f"{name:<{width}}  {value:.4f}", aside=json)
    if glue_files is None or tables is None:
        return
    for written in write_glue_files(what, how, checkpoint, records, glue_files, tables):
        say(str(written), aside=json)
    if missing := sorted(set(FILES) - {table.file for found in tables.values() for table in found}):
        say(f"GLUE's server takes all of its files in one zip; missing: {', '.join(missing)}", aside=json)
