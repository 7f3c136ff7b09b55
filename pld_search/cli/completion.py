"""What the shell offers after TAB: studies, schedules, systems and the paths of --set. `pld-search
--install-completion` sets it up.

Every function takes the beginning of a word and returns the words that go on from it; none raises, since an error would
land in the middle of a line that somebody types.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pld_search.errors import PldSearchError
from pld_search.schedules.library import Kind, shipped

_RUNS = "runs"
_RECORDS = "study.jsonl"
_TOP = ("budget.steps", "budget.equal", "reference", "seeds", "search.trials", "search.seed", "confirm.top")
"""Paths of a study outside its experiment that are changed most."""
_DEPTH = 6
_LINES = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Where bash and the other shells leave the line that is typed."""


def studies(incomplete: str) -> list[str]:
    """Studies under the runs folder of this place."""
    folders = Path(_RUNS).iterdir() if Path(_RUNS).is_dir() else iter(())
    return sorted(each.name for each in folders if each.name.startswith(incomplete) and (each / _RECORDS).is_file())


def study_files(incomplete: str) -> list[str]:
    """Shipped studies, and YAML files here."""
    return _files("spaces", incomplete)


def schedules(incomplete: str) -> list[str]:
    """Schedules of the library, and YAML files here."""
    return _files("schedules", incomplete)


def _files(kind: Kind, incomplete: str) -> list[str]:
    found = [*shipped(kind), *(str(path) for path in sorted(Path().glob("*.y*ml")))]
    return [name for name in found if name.startswith(incomplete)]


def set_paths(incomplete: str) -> list[str]:
    """Paths of the experiment, of the study and of the machine file, each with the `=` that its value follows; of the
    study on the line also its systems.
    """
    line = next((os.environ[name] for name in _LINES if name in os.environ), "").split()
    systems = _systems(line[2]) if len(line) > 2 and "systems.".startswith(incomplete[:8]) else []
    paths = [*_paths_of_templates(), *_TOP, *(f"systems.{name}.schedule" for name in systems)]
    return sorted(f"{path}=" for path in paths if path.startswith(incomplete))


def schedule_paths(incomplete: str) -> list[str]:
    """Paths of a schedule."""
    from pld_search.schedules.schedule import Schedule  # numpy: not for every TAB

    return sorted(f"{path}=" for path in _paths(Schedule) if path.startswith(incomplete))


def _paths_of_templates() -> Iterator[str]:
    # pydantic's models: not for every TAB
    from pld_search.specs.machine import Machine
    from pld_search.specs.template import ExperimentTemplate

    yield from _paths(ExperimentTemplate)
    yield from (f"machine.{path}" for path in _paths(Machine))


def _paths(model: type[BaseModel], prefix: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Dotted paths of a model's fields, through the models inside; of a union through each of its members."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        inside = list(dict.fromkeys(_models(field.annotation))) if depth else []
        if not inside:
            yield path
        found = dict.fromkeys(each for part in inside for each in _paths(part, f"{path}.", depth - 1))
        yield from found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth of unions; what lists and tables hold has no path."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif getattr(annotation, "__origin__", None) not in (tuple, list, dict):
        for part in getattr(annotation, "__args__", ()):
            yield from _models(part)


def _systems(named: str) -> list[str]:
    """The systems of the study whose file is on the line."""
    from pld_search.app.find_study import study_of  # reads studies: not for every TAB

    with contextlib.suppress(PldSearchError, OSError):
        return [system.name for system in study_of(named, None).systems]
    return []
