"""A sampled configuration in words, by the values that were drawn for it.

Apart from report/row_names.py, since the display of a running study needs it before the report's rows are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pld_search.specs.written_schedules import CHANGED


def sampled_text(schedule: str, params: Mapping[str, Any]) -> str:
    """The schedule and the sampled values: choices by their word alone, numbers as `name=value`."""
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
    """As much of a dotted name, from its end, as tells it from the others: `end`, or `falling.end` beside
    `rising.end`.
    """
    parts = name.split(".")
    for size in range(1, len(parts)):
        tail = ".".join(parts[-size:])
        if sum(other == tail or other.endswith(f".{tail}") for other in names) == 1:
            return tail
    return name


def number_in_short(value: Any) -> str:
    """Three significant digits of a broken number; anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
