"""`validate FILE`: everything wrong with a study file, and 1,000 points of its space that must all be buildable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pld_search.app.design_power import UNDECIDABLE, decides_nothing
from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_of, study_sets
from pld_search.app.study_data import assumed, check_places
from pld_search.cli.options import Json, MachineFile, Sets, StudyFile
from pld_search.cli.output import emit, say
from pld_search.errors import ConfigError, Problem
from pld_search.spaces.feasibility import Probe, Unbuildable, probe

SHOWN = 20
Points = Annotated[int, typer.Option("--points", metavar="N", min=1, help="Points of every open space to build.")]

Seconds = Annotated[
    float,
    typer.Option("--seconds", metavar="S", min=0, help="Build for so long; one point of each space is always built."),
]


def validate(
    file: StudyFile,
    points: Points = 1000,
    seconds: Seconds = 30.0,
    sets: Sets = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Check a study file and sample its space.

    Exit 2 when something is wrong, combinations that cannot be built included. With --machine the machine's file is
    checked as well, and that the texts, tokenizers and tasks of the study are there.
    """
    study = study_of(file, sets)
    if machine is not None or study_sets(sets or ()) != list(sets or ()):
        check_places(study, machine_of(machine, sets or ()))
    seen = probe(study, assumed(study), points, seconds=seconds)
    if json:
        emit(
            {
                "study": study.name,
                "tried": seen.tried,
                "left_out": seen.left_out,
                "decides_nothing": decides_nothing(study),
                "unbuildable": [described(bad) for bad in seen.unbuildable],
            }
        )
    for text in told(study.name, seen):
        say(text, aside=json)
    if decides_nothing(study):
        say(f"note: {UNDECIDABLE}", aside=json)
    if seen.unbuildable:
        raise ConfigError(Problem(f"{len(seen.unbuildable):,} of {seen.tried:,} combinations cannot be built"))


def described(bad: Unbuildable) -> dict[str, Any]:
    """A combination that cannot be built, as `validate --json` prints it."""
    return {"system": bad.system, "params": bad.params, "problems": [str(problem) for problem in bad.problems]}


def told(name: str, seen: Probe) -> Iterator[str]:
    """What was tried, and the combinations that cannot be built, alike ones once with their number."""
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
