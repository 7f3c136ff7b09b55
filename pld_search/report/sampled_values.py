"""The description of a sampled configuration by its sampled values.

Separate from report/row_names.py, because the display of a running study needs it without the report's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pld_search.specs.written_schedules import CHANGED


def sampled_text(schedule: str, params: Mapping[str, Any]) -> str:
    """Returns the schedule and the sampled values: choices as single words, numbers as `name=value`."""
    words = [str(value) for value in params.values() if _is_word(value)]
    numbers = [
        f"{short(name, params)}={number_in_short(value)}" for name, value in params.items() if not _is_word(value)
    ]
    own = any(name == "schedule" or name.startswith("schedule.") for name in params)
    base = schedule.removesuffix(CHANGED)
    known = "schedule" in params or base in words
    return ", ".join([*([] if known else [base if own else schedule]), *words, *numbers])


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and not value[:1].isdigit()


def short(name: str, names: Mapping[str, Any]) -> str:
    """Returns the shortest end of a dotted name that is unique among `names`: `end`, or `falling.end` beside
    `rising.end`.
    """
    parts = name.split(".")
    for size in range(1, len(parts)):
        tail = ".".join(parts[-size:])
        if sum(other == tail or other.endswith(f".{tail}") for other in names) == 1:
            return tail
    return name


def number_in_short(value: Any) -> str:
    """Formats a float with three significant digits; any other value unchanged."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
