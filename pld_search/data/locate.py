"""Finds the places that a written data and evaluation block names on this machine, and reports the missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pld_search.data import custom_task, glue
from pld_search.data.text_sources import find, resolve, stamp
from pld_search.data.tokenizer_file import tokenizer_file
from pld_search.errors import ConfigError, DataError, KeyPath, Problem
from pld_search.specs.template import DataTemplate, EvaluationTemplate, TextSource, is_local_place


@dataclass(frozen=True, slots=True)
class Places:
    """`named` maps first words of written places to folders; other relative places start at `base`."""

    named: Mapping[str, str]
    base: Path

    def resolve(self, written: str) -> Path:
        """Returns the path of a written place; it need not exist."""
        return resolve(written, self.base, self.named)

    def tokenizer(self, written: str) -> Path | None:
        """Returns the path of a stated tokenizer; None for a tokenizer of the hub."""
        return self.resolve(written) if is_local_place(written) or written.split("/", 1)[0] in self.named else None

    def glue(self, name: str, written: str | None) -> Path | None:
        """Returns a GLUE task's stated place, or the machine's folder for it or for `glue`; None for the hub."""
        if written is not None:
            return self.resolve(written)
        if name in self.named or "glue" in self.named:
            return self.resolve(name if name in self.named else f"glue/{glue.LAYOUTS[name].folder}")
        return None


def missing(data: DataTemplate, evaluation: EvaluationTemplate, where: Places) -> Iterator[Problem]:
    """Yields a problem for every missing text, tokenizer and task of this machine; the hub is not contacted."""
    for split in ("train", "validation", "test"):
        if isinstance(written := getattr(data, split), TextSource):
            for number, pattern in enumerate(written.text):
                yield from _unless_found(
                    ("data", split, "text", number), partial(find, [pattern], where.base, where.named)
                )
    if isinstance(data.tokenizer, str) and (place := where.tokenizer(data.tokenizer)) is not None:
        yield from _unless_found(("data", "tokenizer"), partial(tokenizer_file, place))
    for number, (name, written) in enumerate(evaluation.named_tasks):
        yield from _unless_found(("evaluation", "tasks", number), partial(_task_files, name, written, where))


def _unless_found(path: KeyPath, look: Callable[[], object]) -> Iterator[Problem]:
    try:
        look()
    except DataError as error:
        yield Problem(str(error), path)
    except ConfigError as error:  # from a task.yaml, whose problems have their own places
        yield from error.problems


def _task_files(name: str, written: str | None, where: Places) -> None:
    if name in glue.LAYOUTS:
        if (folder := where.glue(name, written)) is not None:
            glue.split_files(name, folder)
        return
    assert written is not None  # the template accepts a bare name only for GLUE's tasks
    described, file = custom_task.described(where.resolve(written))
    for table in custom_task.split_files(described, file).values():
        stamp(table)
