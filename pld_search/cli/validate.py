"""`validate FILE`: reports every problem in a study file, and builds points of its space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pld_search.app.fair_comparison import fairness_notes, refuse_unfair
from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_of
from pld_search.app.study_data import assumed, check_places
from pld_search.cli.options import Json, MachineFile, Sets, StudyFile
from pld_search.cli.output import emit, tell
from pld_search.errors import ConfigError, Problem
from pld_search.spaces.decide import UNDECIDABLE
from pld_search.spaces.feasibility import Probe, Unbuildable, probe

SHOWN = 20
Points = Annotated[int, typer.Option("--points", metavar="N", min=1, help="Points of every open space to build.")]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds", metavar="S", min=0, help="Time limit of building; at least one point of each space is built."
    ),
]


def validate(
    file: StudyFile,
    points: Points = 100,
    seconds: Seconds = 30.0,
    sets: Sets = None,
    machine: MachineFile = None,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Texts and tasks are on another machine: do not look for them.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a study file and sample its space.

    Exit 2 when something is wrong: in the file, in the machine's file or a --set of it, a text, tokenizer or task that
    is not there, a combination that cannot be built. Of 100 points one finds what is wrong with 3 % of a space in 95 of
    100 cases; --points 1000 looks closer.
    """
    study = study_of(file, sets)
    found = machine_of(machine, sets or ())
    refuse_unfair(study, Path(found.runs) / study.name)
    if not elsewhere:
        check_places(study, found)
    prepared = assumed(study)
    seen = probe(study, prepared, points, seconds=seconds)
    notes = [UNDECIDABLE] if study.decides_nothing else []
    if not seen.unbuildable:
        notes += fairness_notes(study, prepared)
    if json:
        emit(
            {
                "study": study.name,
                "tried": seen.tried,
                "left_out": seen.left_out,
                "decides_nothing": study.decides_nothing,
                "notes": notes,
                "unbuildable": [described(bad) for bad in seen.unbuildable],
            }
        )
    for text in told(study.name, seen):
        tell(text, aside=json)
    for note in notes:
        tell(f"note: {note}", aside=json)
    if seen.unbuildable:
        raise ConfigError(Problem(f"{len(seen.unbuildable):,} of {seen.tried:,} combinations cannot be built"))


def described(bad: Unbuildable) -> dict[str, Any]:
    """Returns a combination that cannot be built, for `validate --json`."""
    return {"system": bad.system, "params": bad.params, "problems": [str(problem) for problem in bad.problems]}


def told(name: str, seen: Probe) -> Iterator[str]:
    """Yields the number of points tried, and the combinations that cannot be built, grouped by their problems."""
    if not seen.unbuildable:
        rest = "; the time was over before all were: --seconds" if seen.left_out else ""
        yield f"{name}: fine ({seen.tried:,} combinations built{rest})"
    alike: dict[tuple[str | None, str], list[Unbuildable]] = {}
    for bad in seen.unbuildable:
        alike.setdefault((bad.system, "; ".join(str(problem) for problem in bad.problems)), []).append(bad)
    for (system, problems), group in list(alike.items())[:SHOWN]:
        values = ", ".join(f"{key} = {value}" for key, value in group[0].params.items())
        more = f" (and {len(group) - 1:,} more)" if len(group) > 1 else ""
        yield f"{system or 'search'}: {values or 'as written'}: {problems}{more}"
    if len(alike) > SHOWN:
        yield f"... and {len(alike) - SHOWN:,} more kinds"
