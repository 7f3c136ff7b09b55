"""`best STUDY`: the winning row as a schedule, an experiment or a study to use again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.app.winner_files import changes_of, described_winner, winning_run, write_winner
from pld_search.cli.options import Json, MachineFile, Runs, StudyName
from pld_search.cli.output import emit, say, tell
from pld_search.errors import ConfigError, NothingFeasible, Problem
from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.leading_row import lead_text, leader
from pld_search.report.study_summary import summary
from pld_search.specs.yaml_io import dump

Kind = Literal["schedule", "experiment", "study"]
As = Annotated[
    Kind | None,
    typer.Option(
        "--as", help="Write the winner: its schedule, its experiment, or a study of it, the reference and pld."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="The file that --as writes; default: STUDY-best-KIND.yaml in this folder."
    ),
]


def best(
    study: StudyName,
    kind: As = None,
    out: Out = None,
    json: Json = False,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Print the winner of a study, for further use.

    By the study's objective, among rows whose runs finished and broke no constraint. Written as a study, it is at the
    target size where the study states a target.
    """
    if out is not None and kind is None:
        raise ConfigError(Problem("--out needs --as", allowed="--as schedule | experiment | study"))
    found = machine_of(machine, runs=runs)
    seen = view(study_folder(study, Path(found.runs)))
    about, table = summary(seen), comparison(seen, leading=True, judged=not json)
    winner = leader(table, about)
    if winner is None or winner.experiment is None:
        raise NothingFeasible(
            f"{about.name}: no row has finished runs and breaks no constraint, so none is best by {about.objective}"
        )
    run = winning_run(seen, winner)
    written = None if kind is None else out or Path(f"{about.name}-best-{kind}.yaml")
    if kind is not None and written is not None:
        write_winner(kind, written, winner, table, seen.folder, found)
    if json:
        emit({**described_winner(winner, about.objective), "run": None if run is None else str(run)})
    else:
        tell(lead_text(winner, about))
        said = winner.experiment.schedule.model_dump(mode="json")
        if changes := changes_of(winner, table):
            say(dump(changes).rstrip())
        say(dump({key: value for key, value in said.items() if value not in (None, "")}).rstrip())
    if not json and run is not None:
        say(f"run: {run}", aside=True)
    if written is not None:
        say(f"written: {written}", aside=True)
