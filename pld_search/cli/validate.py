"""`validate FILE`: everything wrong with a study file, and 1,000 points of its space that must all be buildable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pld_search.cli.options import Json, Sets, StudyFile
from pld_search.cli.output import emit, say

if TYPE_CHECKING:
    from pld_search.spaces.feasibility import Probe, Unbuildable

SHOWN = 20
Points = Annotated[int, typer.Option("--points", metavar="N", min=1, help="Points of every open space to build.")]


def validate(file: StudyFile, points: Points = 1000, sets: Sets = None, json: Json = False) -> None:
    """Check a study file and sample its space.

    Exit 2 when something is wrong, combinations that cannot be built included.
    """
    from pld_search.cli.studies import assumed, study_of
    from pld_search.errors import ConfigError, Problem
    from pld_search.spaces.feasibility import probe

    study = study_of(file, sets)
    seen = probe(study, assumed(study), points)
    if json:
        emit({"study": study.name, "tried": seen.tried, "unbuildable": [described(bad) for bad in seen.unbuildable]})
    for text in told(study.name, seen):
        say(text, aside=json)
    if seen.unbuildable:
        raise ConfigError(Problem(f"{len(seen.unbuildable):,} of {seen.tried:,} combinations cannot be built"))


def described(bad: Unbuildable) -> dict[str, Any]:
    return {"system": bad.system, "params": bad.params, "problems": [str(problem) for problem in bad.problems]}


def told(name: str, seen: Probe) -> Iterator[str]:
    """What was tried, and the combinations that cannot be built, alike ones once with their number."""
    if not seen.unbuildable:
        yield f"{name}: fine ({seen.tried:,} combinations built)"
    alike: dict[tuple[str | None, str], list[Unbuildable]] = {}
    for bad in seen.unbuildable:
        alike.setdefault((bad.system, "; ".join(str(problem) for problem in bad.problems)), []).append(bad)
    for (system, problems), group in list(alike.items())[:SHOWN]:
        values = ", ".join(f"{key} = {value}" for key, value in group[0].params.items())
        more = f" (and {len(group) - 1:,} more)" if len(group) > 1 else ""
        yield f"{system or 'search'}: {values or 'as written'}: {problems}{more}"
    if len(alike) > SHOWN:
        yield f"... and {len(alike) - SHOWN:,} more kinds"
