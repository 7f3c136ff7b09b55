"""The exception tree of the project, the record of one configuration problem, and the reasons of a refused value.

PldSearchError                exit 1   anything this project raises on purpose
├── ConfigError               exit 2   what the user wrote cannot be used (holds every Problem of a file at once)
├── DataError                 exit 2   a corpus, tokenizer or task file cannot be read as stated
├── StudyError                exit 1   a study's folder, storage or records are not usable
├── CheckpointError           exit 1   a checkpoint cannot be written or read
├── BenchError                exit 1   a timed process ended before it had answered
├── AttachError               exit 1   a model of the user's own cannot be gated as asked, or its ranks hold different
                              plans
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
    """A place in a file; `line` and `column` count from 1. `file` is what the user typed, or `--set`.

    base: the schedule or study, as its user named it, that a value was taken from without being written again; empty
    for what stands at this place itself. A value of a shipped file has the place where the file was named, which is all
    its user wrote.
    """

    file: str
    line: int
    column: int
    base: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def dotted(path: KeyPath) -> str:
    """`("systems", "full", 0)` as `systems.full[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what a user wrote: where, which rule, what is allowed, what was given, a suggestion."""

    message: str
    path: KeyPath = ()
    mark: Position | None = None
    allowed: str | None = None
    given: str | None = None
    suggestion: str | None = None

    def below(self, path: KeyPath) -> Problem:
        """The same problem of a value that stands at `path`: the path goes in front of its own."""
        return replace(self, path=(*path, *self.path))

    def at(self, mark: Position | None) -> Problem:
        """The same problem at another place of a file; None for no place."""
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
    """One reason against a value, before its file is known: a path below the value, and why.

    `others`: keys that could be the wrong one just as well.
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
    """The reasons with `path` before each of their paths."""
    return [
        Reason((*path, *reason.path), reason.why, tuple((*path, *other) for other in reason.others))
        for reason in reasons
    ]


class PldSearchError(Exception):
    """Anything this project raises on purpose; the command line prints it without a traceback.

    `silent`: every rank of a run raises it, and another one says so.
    """

    exit_code: ClassVar[int] = 1
    silent: bool = False


class ConfigError(PldSearchError):
    """Everything wrong with one file or command line, all problems at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(PldSearchError):
    """A corpus, tokenizer or task file is missing or is not what it was said to be."""

    exit_code: ClassVar[int] = 2


class StudyError(PldSearchError):
    """A study's folder, storage or records cannot be used."""


class CheckpointError(PldSearchError):
    """A checkpoint cannot be written or read."""


class BenchError(PldSearchError):
    """A timed process ended before it had answered."""


class AttachError(PldSearchError):
    """A model of the user's own cannot be gated as asked, or its ranks hold different plans."""


class NothingFeasible(PldSearchError):
    """A study ended without one feasible trial."""

    exit_code: ClassVar[int] = 3


class Interrupted(PldSearchError):
    """Stopped by a signal, after a checkpoint; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # an instance shadows the class's default
