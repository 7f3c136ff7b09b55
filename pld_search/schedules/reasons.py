"""Reasons against what a user wrote, each with the place it is about: one validation can name several keys at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pld_search.errors import KeyPath


class Reason(NamedTuple):
    """Where (a path below the value that is validated), and why; `others`: keys that could be the wrong one just as
    well.
    """

    path: KeyPath
    why: str
    others: tuple[KeyPath, ...] = ()


class Refused(ValueError):
    """Raised in a validator; specs/validate.py turns every reason into a problem at its own place."""

    def __init__(self, reasons: Sequence[Reason | tuple[KeyPath, str]]) -> None:
        self.reasons = tuple(Reason(*reason) for reason in reasons)
        super().__init__("; ".join(reason.why for reason in self.reasons))


def below(path: KeyPath, reasons: Sequence[Reason]) -> list[Reason]:
    """The reasons with `path` before each of their paths."""
    return [
        Reason((*path, *reason.path), reason.why, tuple((*path, *other) for other in reason.others))
        for reason in reasons
    ]
