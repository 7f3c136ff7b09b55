"""`init NAME --text GLOB`: inspects the user's files and the device, and writes one commented study that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.init_study import initial
from pld_search.cli.output import tell

Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name; NAME.yaml is written in this folder.")]
Text = Annotated[
    list[str],
    typer.Option("--text", metavar="GLOB", help="Text or jsonl files (.gz, .bz2, .xz and .zst too); may be repeated."),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task", metavar="NAME[=DIR]", help="A task to fine-tune on: a task of GLUE by name, or a folder of tables."
    ),
]
From = Annotated[str | None, typer.Option("--from", metavar="HUB_OR_FOLDER", help="A checkpoint to continue.")]


def init(name: Name, text: Text, task: Tasks = None, start: From = None) -> None:
    """Write a commented study for your own files.

    NAME.yaml, a task.yaml for tables that have none, and machine.yaml where there is a GPU. Nothing is overwritten.
    """
    for line in initial(name, text, task or [], start, Path()):
        tell(line)
