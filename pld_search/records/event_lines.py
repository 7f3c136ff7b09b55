"""One event and its line in a record file: converts a frozen event to a JSON object and back.

The line holds `event` (the event's NAME), the fields of its envelope, and then its own fields in the order of the
class. A field that is None is left out unless the class lists it in NULLS. Reading is lenient: it drops a key that this
version does not know, and gives a key that an earlier version did not write the field's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self

from pld_search.errors import StudyError

FORMAT = 1
"""The format of the records that this version writes and reads; a file that states no format has format 1."""


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events. `ENVELOPE` names the fields that the writer fills in."""

    NAME: ClassVar[str] = ""
    ENVELOPE: ClassVar[tuple[str, ...]] = ()
    NULLS: ClassVar[frozenset[str]] = frozenset()

    def record(self) -> dict[str, Any]:
        """Returns the JSON object that is written: `event`, the envelope, the event's own fields."""
        envelope = {name: getattr(self, name) for name in self.ENVELOPE}
        return {"event": self.NAME, **envelope, **self.payload()}

    def payload(self) -> dict[str, Any]:
        """Returns the event's own fields as they are written, in order."""
        kind: Any = type(self)  # mypy considers the class of a frozen dataclass unhashable
        values = ((name, getattr(self, name)) for name in _own(kind))
        return {name: value for name, value in values if value is not None or name in self.NULLS}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Returns the event of a line. Raises TypeError when a key that every version writes is missing."""
        kind: Any = cls
        known = _known(kind)
        fields = dict(record)
        fields.pop("event", None)
        if not fields.keys() <= known:
            fields = {name: value for name, value in fields.items() if name in known}
        return cls(**fields)


@cache
def _known(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


@cache
def _own(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in kind.ENVELOPE)


def check_format(stated: int | None) -> None:
    """Raises StudyError for records of a later format than this version reads."""
    if stated is not None and stated > FORMAT:
        raise StudyError(
            f"these records have format {stated}, and this version reads format {FORMAT}: they were written by a later"
            " version of pld-search"
        )
