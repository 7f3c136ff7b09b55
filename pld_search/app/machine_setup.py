"""The machine that a verb uses: a flag overrides the environment, which overrides machine file and defaults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.frozen import canonical_json
from pld_search.specs.machine import Machine, load_machine
from pld_search.specs.tree_changes import SET_FILE, apply_sets, expand
from pld_search.specs.yaml_io import Map, load_file, mark_at

DEFAULT_FILE = Path("machine.yaml")
PREFIX = "machine."


def machine_of(file: Path | None, sets: Sequence[str] = (), **flags: object) -> Machine:
    """Returns the machine in `file` (else ./machine.yaml, else the defaults), changed by `machine.` sets and then by
    the given `flags`.
    """
    with machine_used(file, sets, **flags) as found:
        return found


@contextmanager
def machine_used(file: Path | None, sets: Sequence[str] = (), **flags: object) -> Iterator[Machine]:
    """Yields the machine of `machine_of`. A problem with it, raised here or in the context, is reported at the place
    where the user wrote the value.
    """
    if file is not None and not file.is_file():
        raise ConfigError(Problem("no machine file there", given=str(file)))
    given = _given(file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None), sets, flags)
    try:
        yield load_machine(given.file, given.texts)
    except ConfigError as error:
        raise ConfigError([given.placed(problem) for problem in error.problems]) from error


@dataclass(frozen=True, slots=True)
class _Given:
    """The user's settings of the machine. `sets`: texts without the prefix, each with its number among all --set."""

    file: Path | None
    sets: tuple[tuple[int, str], ...]
    flags: Mapping[str, object]

    @property
    def texts(self) -> list[str]:
        return [*(text for _, text in self.sets), *(f"{name}={_quoted(value)}" for name, value in self.flags.items())]

    def placed(self, problem: Problem) -> Problem:
        """Returns the problem at its line of the file, at its --set, or under the name of its flag."""
        mark = problem.mark or self._mark(problem.path)
        if mark is None or mark.file != SET_FILE:
            return problem.at(mark)
        if mark.line <= len(self.sets):
            return problem.at(Position(SET_FILE, self.sets[mark.line - 1][0], mark.column + len(PREFIX)))
        return replace(problem, mark=None, path=(f"--{[*self.flags][mark.line - len(self.sets) - 1]}",))

    def _mark(self, path: KeyPath) -> Position | None:
        """Returns the position of a written setting; None for a default and for a path that is no machine setting."""
        if not path or path[0] not in Machine.model_fields:
            return None
        tree = apply_sets(Map() if self.file is None else expand(load_file(self.file)), self.texts)
        return mark_at(tree, path) if path[0] in tree else None


def _given(file: Path | None, sets: Sequence[str], flags: Mapping[str, object]) -> _Given:
    stated = {name: value for name, value in flags.items() if value is not None}
    texts = [
        (number, text.removeprefix(PREFIX)) for number, text in enumerate(sets, start=1) if text.startswith(PREFIX)
    ]
    return _Given(file, tuple(each for each in texts if each[1].split("=", 1)[0] not in stated), stated)


def _quoted(value: object) -> str:

    return str(value) if isinstance(value, int) else canonical_json(str(value))


def study_sets(sets: Iterable[str]) -> list[str]:
    """Returns the --set texts of a study in their order. Texts of the machine become empty, so the others keep their
    numbers.
    """
    return ["" if text.startswith(PREFIX) else text for text in sets]
