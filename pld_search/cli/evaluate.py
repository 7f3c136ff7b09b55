"""`evaluate CHECKPOINT`: validation and test loss and every task of the experiment, for the weights in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.run_files import EXPERIMENT, execution_beside, experiment_in, run_of
from pld_search.cli.options import Json
from pld_search.cli.output import emit, say
from pld_search.errors import ConfigError, Problem

Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT_OR_RUN", help="A checkpoint's folder, or a run's (its newest).")
]
ExperimentFile = Annotated[
    Path | None, typer.Option("--experiment", metavar="FILE", help="The experiment; found above the checkpoint.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where fine-tuning is recorded; evaluations/ beside the experiment."),
]


def evaluate(checkpoint: Checkpoint, experiment: ExperimentFile = None, out: Out = None, json: Json = False) -> None:
    """Score a checkpoint by its experiment's evaluation."""
    if not checkpoint.is_dir():
        raise ConfigError(Problem("no checkpoint folder there", given=str(checkpoint)))
    if (checkpoint / EXPERIMENT).is_file():
        from pld_search.app.checkpoint_origin import origin_of  # loads torch

        checkpoint = origin_of(checkpoint).checkpoint
    file = experiment or run_of(checkpoint)
    what, how = experiment_in(file), execution_beside(file)
    from pld_search.training.evaluation import evaluate_checkpoint  # torch loads only after the files were checked

    scores = evaluate_checkpoint(what, how, checkpoint, out or file.parent / "evaluations" / checkpoint.name)
    if json:
        emit(scores)
        return
    width = max(map(len, scores))
    for name, value in scores.items():
        say(f"{name:<{width}}  {value:.4f}")
