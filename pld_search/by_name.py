"""Loads objects by name: objects that are needed only after other work has begun, or only in one of several cases.

A name is written as `pld_search.room.module:object`. tests/test_architecture.py treats it as an import: the arrows, the
rooms of heavy libraries and the ban on import circles apply to it, and it must exist.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def by_name(name: str) -> Any:
    """Returns the object `MODULE:OBJECT`; its module is imported at the first call."""
    module, _, what = name.partition(":")
    return getattr(import_module(module), what)
