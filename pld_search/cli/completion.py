"""Shell completion after TAB: studies, schedules, systems and the paths of --set. `pld-search --install-completion`
installs it.

Every function takes the beginning of a word and returns the words that start with it. None raises, because an error
message would appear in the middle of the user's line.
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
"""Paths of a study outside its experiment that users change most."""
_DEPTH = 6
_LINES = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Variables in which bash and the other shells pass the typed line."""


def studies(incomplete: str) -> list[str]:
    """Completes studies under the runs folder of the current folder."""
    folders = Path(_RUNS).iterdir() if Path(_RUNS).is_dir() else iter(())
    return sorted(each.name for each in folders if each.name.startswith(incomplete) and (each / _RECORDS).is_file())


def study_files(incomplete: str) -> list[str]:
    """Completes shipped studies and YAML files of the current folder."""
    return _files("spaces", incomplete)


def schedules(incomplete: str) -> list[str]:
    """Completes schedules of the library and YAML files of the current folder."""
    return _files("schedules", incomplete)


def _files(kind: Kind, incomplete: str) -> list[str]:
    found = [*shipped(kind), *(str(path) for path in sorted(Path().glob("*.y*ml")))]
    return [name for name in found if name.startswith(incomplete)]


def set_paths(incomplete: str) -> list[str]:
    """Completes paths of the experiment, the study and the machine file, each with `=`; also the systems of the study
    on the line.
    """
    line = next((os.environ[name] for name in _LINES if name in os.environ), "").split()
    systems = _systems(line[2]) if len(line) > 2 and "systems.".startswith(incomplete[:8]) else []
    paths = [*_paths_of_templates(), *_TOP, *(f"systems.{name}.schedule" for name in systems)]
    return sorted(f"{path}=" for path in paths if path.startswith(incomplete))


def schedule_paths(incomplete: str) -> list[str]:
    """Completes paths of a schedule."""
    from pld_search.schedules.schedule import Schedule  # loads numpy: only for this completion

    return sorted(f"{path}=" for path in _paths(Schedule) if path.startswith(incomplete))


def _paths_of_templates() -> Iterator[str]:
    # load pydantic's models: only for this completion
    from pld_search.specs.machine import Machine
    from pld_search.specs.template import ExperimentTemplate

    yield from _paths(ExperimentTemplate)
    yield from (f"machine.{path}" for path in _paths(Machine))


def _paths(model: type[BaseModel], prefix: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Yields dotted paths of a model's fields, through nested models and through each member of a union."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        inside = list(dict.fromkeys(_models(field.annotation))) if depth else []
        if not inside:
            yield path
        found = dict.fromkeys(each for part in inside for each in _paths(part, f"{path}.", depth - 1))
        yield from found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yields the models in an annotation, at any depth of unions. Items of lists and tables have no path."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif getattr(annotation, "__origin__", None) not in (tuple, list, dict):
        for part in getattr(annotation, "__args__", ()):
            yield from _models(part)


def _systems(named: str) -> list[str]:
    """Returns the systems of the study whose file is on the line."""
    from pld_search.app.find_study import study_of  # reads studies: only for this completion

    with contextlib.suppress(PldSearchError, OSError):
        return [system.name for system in study_of(named, None).systems]
    return []
