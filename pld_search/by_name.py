"""Objects that are loaded by name: what is needed only after other work has begun, or only in one of several cases.

The name is written as `pld_search.room.module:object`. tests/test_architecture.py treats it as an import: the arrows,
the homes of libraries and the ban on circles hold for it, and it has to exist.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def by_name(name: str) -> Any:
    """The object `MODULE:OBJECT`; its module is imported at the first call."""
    module, _, what = name.partition(":")
    return getattr(import_module(module), what)
