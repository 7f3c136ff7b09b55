"""`analyze RUN|STUDY|CHECKPOINT`: layer analyses as tables, JSON or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import RECORDS, study_folder
from pld_search.cli.options import Json, MachineFile, Runs
from pld_search.cli.output import console, emit, say
from pld_search.errors import ConfigError, Problem
from pld_search.host.disk import expanded
from pld_search.report.layer_figures import save
from pld_search.report.layer_tables import show
from pld_search.report.side_by_side_figure import FORMATS
from pld_search.specs import limits

Source = Annotated[
    str,
    typer.Argument(metavar="RUN|STUDY|CHECKPOINT", help="A run's folder, a study's name or folder, or a checkpoint's."),
]
Sequences = Annotated[
    int,
    typer.Option(
        "--sequences", metavar="N", min=1, max=limits.COUNT, help="Maximum number of held-out sequences to read."
    ),
]
Every = Annotated[bool, typer.Option("--every", help="Every checkpoint that a run has kept, not only the newest.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="FILE", help="Also draw a picture, a .png or .svg file.")
]
ExperimentFile = Annotated[
    Path | None, typer.Option("--experiment", metavar="FILE", help="The experiment of a checkpoint outside of a run.")
]


def analyze(
    source: Source,
    sequences: Sequences = 256,
    every: Every = False,
    picture: Picture = None,
    experiment: ExperimentFile = None,
    json: Json = False,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Measure layers: gradients, similarity of input and output, lesions.

    Gradient norms, similarity of input and output, lesions, and how the loss rises as layers go. Recorded with the run.
    """
    if picture is not None and picture.suffix.lower() not in FORMATS:
        raise ConfigError(Problem("--picture", allowed=" | ".join(FORMATS), given=picture.name))
    place = expanded(source)
    if not place.is_dir() or (place / RECORDS).is_file():
        place = study_folder(source, Path(machine_of(machine, runs=runs).runs))
    from pld_search.app.analyse_checkpoints import analysed  # loads torch, after the arguments were checked

    found = analysed(
        place, sequences=sequences, every=every, experiment=experiment, tell=lambda text: say(text, aside=True)
    )
    if json:
        emit([each.as_json() for each in found])
    else:
        for each in found:
            show(each.label, each.step, each.found, console())
    if picture is not None:
        labels = dict.fromkeys(each.label for each in found)
        save({name: [(each.step or 0, each.found) for each in found if each.label == name] for name in labels}, picture)
        say(f"picture: {picture}", aside=json)
