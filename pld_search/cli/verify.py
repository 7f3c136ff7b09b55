"""`verify FOLDER`: recomputes published results from their records, or trains one of their runs again."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pld_search.app import verify_results
from pld_search.app.machine_setup import machine_of
from pld_search.app.prepare_study import prepare_study
from pld_search.cli.options import Json, MachineFile
from pld_search.cli.output import emit, say
from pld_search.errors import ConfigError, Problem
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Published results: results.py, RESULTS.md, records/.")]
Retrain = Annotated[
    str | None,
    typer.Option("--retrain", metavar="STUDY/TRIAL/SEED", help="Train this run again and compare every number."),
]
Until = Annotated[
    int | None,
    typer.Option("--until", metavar="STEP", min=1, help="Train and compare only this number of first steps."),
]
Program = Annotated[
    Path | None,
    typer.Option(
        "--program",
        metavar="FILE",
        help=("The pld-search program of the recorded commit, which trains the run. Default: this program."),
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The folder that keeps the repeated run.")]


def verify(
    folder: Folder,
    retrain: Retrain = None,
    until: Until = None,
    program: Program = None,
    out: Out = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Recompute published results, or train one of their runs again.

    Page, numbers and verdicts are computed from the packed records and compared.
    Verifying runs the folder's own code. Exit 1 where something differs.
    """
    if until is not None and retrain is None:
        raise ConfigError(Problem("says how much of a run is trained again", ("--until",), allowed="with --retrain"))
    if retrain is None:
        checks = verify_results.verify(folder)
    else:
        trainer = (sys.executable, "-m", "pld_search") if program is None else (str(program.absolute()),)
        preparing = _preparer(machine_of(machine))
        with TemporaryDirectory() as temporary:
            checks = verify_results.retrain(folder, retrain, out or Path(temporary), preparing, trainer, until)
    if json:
        emit([{"what": check.what, "holds": check.holds, "seen": check.seen} for check in checks])
    for check in checks:
        say(f"{check.what}: {'verified' if check.holds else 'DIFFERS'}: {check.seen}", aside=json)
    if not all(check.holds for check in checks):
        raise typer.Exit(1)


def _preparer(machine: Machine) -> Callable[[Mapping[str, Any]], Mapping[str, str]]:
    """Returns a function that prepares the data of a recorded study on this machine."""

    def prepare(definition: Mapping[str, Any]) -> Mapping[str, str]:
        return prepare_study(Study.from_definition(definition), machine, lambda text: say(text, aside=True)).folders

    return prepare
