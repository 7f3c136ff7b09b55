"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.cli import completion
from pld_search.specs import limits

Json = Annotated[bool, typer.Option("--json", help="Data as JSON on stdout; text for people goes to stderr.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="Change one value; may be repeated. `machine.` reaches the machine file.",
        autocompletion=completion.set_paths,
    ),
]
ScheduleSets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="Change one value of the schedule; may be repeated.",
        autocompletion=completion.schedule_paths,
    ),
]
ScheduleSources = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME_OR_FILE...",
        help="Schedules of the library, or YAML files.",
        autocompletion=completion.schedules,
    ),
]
Layers = Annotated[int, typer.Option("--layers", metavar="N", min=1, max=limits.LAYERS, help="Layers of the encoder.")]
Steps = Annotated[int, typer.Option("--steps", metavar="N", min=1, max=limits.STEPS, help="Steps of the run.")]
StudyFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A study file, or the name of a shipped one.", autocompletion=completion.study_files
    ),
]
StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study's name under the runs folder, or its folder.",
        autocompletion=completion.studies,
    ),
]

MachineFile = Annotated[
    Path | None,
    typer.Option(
        "--machine",
        metavar="FILE",
        envvar="PLD_SEARCH_MACHINE",
        help="The machine file; default: ./machine.yaml, if it exists.",
    ),
]
Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs", metavar="DIR", help="The folder of all studies; default: as in the machine file, else runs."
    ),
]
Slots = Annotated[int | None, typer.Option("--slots", metavar="N", min=1, help="Number of runs at once.")]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", min=1, help="Threads of one run.")]
Device = Annotated[str | None, typer.Option("--device", metavar="DEVICE", help="auto | cpu | cuda.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="The MLflow store; default: mlflow.db in the runs folder.",
    ),
]
StorageUrl = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="PLACE",
        envvar="OPTUNA_STORAGE",
        help="Optuna's storage: a journal file or a database URL.",
    ),
]
