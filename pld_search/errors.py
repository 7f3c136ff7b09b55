"""The exception tree of the project, the record of one configuration problem, and the reasons for a refused value.

PldSearchError                exit 1   anything that this project raises on purpose
├── ConfigError               exit 2   a user's input cannot be used (holds every Problem of a file at once)
├── DataError                 exit 2   a corpus, tokenizer or task file cannot be read as stated
├── StudyError                exit 1   a study's folder, storage or records are not usable
├── CheckpointError           exit 1   a checkpoint cannot be written or read
├── BenchError                exit 1   a timed process ended before it had answered
├── AttachError               exit 1   a user's own model cannot be gated as asked, or its ranks hold different plans
├── NothingFeasible           exit 3   a study ended without one feasible trial
└── Interrupted               exit 130 or 143   stopped by a signal after a checkpoint
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; `line` and `column` count from 1. `file` is the user's name of the file, or `--set`.

    base: the user's name of the schedule or study from which a value was taken; empty for a value written at this place
    itself. The place of a value from a shipped file is the place where the user named the file.
    """

    file: str
    line: int
    column: int
    base: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def dotted(path: KeyPath) -> str:
    """Returns a key path as text: `("systems", "full", 0)` as `systems.full[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a user's input: its place, the broken rule, the allowed and the given value, a suggestion."""

    message: str
    path: KeyPath = ()
    mark: Position | None = None
    allowed: str | None = None
    given: str | None = None
    suggestion: str | None = None

    def below(self, path: KeyPath) -> Problem:
        """Returns the same problem for a value at `path`: the path goes in front of its own."""
        return replace(self, path=(*path, *self.path))

    def at(self, mark: Position | None) -> Problem:
        """Returns the same problem at another place of a file; None for no place."""
        return replace(self, mark=mark)

    def __str__(self) -> str:
        where = [str(self.mark)] if self.mark else []
        if self.path:
            where.append(dotted(self.path))
        what = self.message
        if self.allowed is not None:
            what += f"; allowed: {self.allowed}"
        if self.given is not None:
            what += f"; given: {self.given}"
        if self.suggestion is not None:
            what += f"; did you mean {self.suggestion}?"
        return ": ".join([*where, what])


class Reason(NamedTuple):
    """One reason against a value whose file is not known yet: a path below the value, and the explanation.

    `others`: keys that may equally be the wrong one.
    """

    path: KeyPath
    why: str
    others: tuple[KeyPath, ...] = ()


class Refused(ValueError):
    """Raised in a validator with every reason; specs/validate.py turns each into a Problem at its own place."""

    def __init__(self, reasons: Sequence[Reason | tuple[KeyPath, str]]) -> None:
        self.reasons = tuple(Reason(*reason) for reason in reasons)
        super().__init__("; ".join(reason.why for reason in self.reasons))


def below(path: KeyPath, reasons: Sequence[Reason]) -> list[Reason]:
    """Returns the reasons with `path` in front of each of their paths."""
    return [
        Reason((*path, *reason.path), reason.why, tuple((*path, *other) for other in reason.others))
        for reason in reasons
    ]


class PldSearchError(Exception):
    """The base of all errors that this project raises on purpose; the command line prints them without a traceback.

    `silent`: every rank of a run raises the error, and another rank prints it.
    """

    exit_code: ClassVar[int] = 1
    silent: bool = False


class ConfigError(PldSearchError):
    """All problems of one file or command line at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(PldSearchError):
    """A corpus, tokenizer or task file is missing or differs from its description."""

    exit_code: ClassVar[int] = 2


class StudyError(PldSearchError):
    """A study's folder, storage or records cannot be used."""


class CheckpointError(PldSearchError):
    """A checkpoint cannot be written or read."""


class BenchError(PldSearchError):
    """A timed process ended before it had answered."""


class AttachError(PldSearchError):
    """A user's own model cannot be gated as asked, or its ranks hold different plans."""


class NothingFeasible(PldSearchError):
    """A study ended without one feasible trial."""

    exit_code: ClassVar[int] = 3


class Interrupted(PldSearchError):
    """A signal stopped the process after a checkpoint; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # an instance shadows the class's default
