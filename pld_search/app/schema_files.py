"""JSON Schemas as files, and the first line of a YAML file that names its schema to an editor's language server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pld_search import __version__
from pld_search.host.disk import expanded
from pld_search.schedules.schedule_schema import schedule_schema
from pld_search.spaces.study_schema import machine_schema, study_schema

SchemaKind = Literal["schedule", "study", "machine"]
_OF = {"schedule": schedule_schema, "study": study_schema, "machine": machine_schema}


def modeline(kind: SchemaKind, cache: Path) -> str:
    """Returns `# yaml-language-server: $schema=...` with the end of the line, for files of one kind.

    The schema is written under `cache` if it is missing. Returns an empty text when the cache cannot be written.
    """
    place = expanded(cache).resolve() / "schemas" / f"{kind}-{__version__}.json"
    try:
        _write(place, json.dumps(_OF[kind](), indent=1, ensure_ascii=False) + "\n")
    except OSError:
        return ""
    return f"# yaml-language-server: $schema={place}\n"


def _write(place: Path, content: str) -> None:
    """Writes the file atomically: an editor may be reading it."""
    if place.is_file() and place.read_text(encoding="utf-8") == content:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.getpid()}")
    part.write_text(content, encoding="utf-8")
    part.replace(place)
