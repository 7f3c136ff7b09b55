"""The groups of the command line: verbs are loaded when they are called, and every error is one line.

A problem becomes a line on stderr and the exit code of its exception; only --debug prints a traceback.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from pld_search.errors import PldSearchError, Problem
from pld_search.specs.synonyms import meant

DEBUG = "--debug"
PROGRAM = "pld-search"
_USAGE, _INTERRUPTED = 2, 130
_CHOICE = re.compile(r"'([^']*)' is not one of (.*)\.")


def usage(error: Exception) -> str | None:
    """Returns typer's usage error as one line with the command for help; None for any other exception, including the
    help itself.
    """
    context = getattr(error, "ctx", None)
    if not isinstance(error, typer.BadParameter.__mro__[1]) or context is None or "NoArgs" in type(error).__name__:
        return None
    text = error.format_message().replace("Value error, ", "").replace("Input should", "it should").rstrip(".")  # type: ignore[attr-defined]  # typer does not export its base class
    if (wrong := _CHOICE.search(f"{text}.")) is not None:
        words = re.findall(r"'([^']*)'", wrong[2])
        text = str(
            Problem(
                text[: wrong.start()].rstrip(": "),
                allowed=" | ".join(words),
                given=wrong[1],
                suggestion=meant(wrong[1], words),
            )
        )
    return f"{text[:1].lower()}{text[1:]} ({context.command_path} --help)"


class Verbs(TyperGroup):
    """The root of the command line. A usage error exits with 2, a PldSearchError with its class's code, an interrupt
    with 130, any other exception with 1.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accepts `--debug` before and after the verb."""
        if DEBUG in args:
            ctx.meta[DEBUG] = True
            args = [word for word in args if word != DEBUG]
        try:
            parsed: list[str] = super().parse_args(ctx, args)
        except Exception as error:
            if not (said := usage(error)):
                raise
            self._tell(ctx, [said])
            raise typer.Exit(_USAGE) from None
        return parsed

    def invoke(self, ctx: Any) -> Any:
        """Runs a verb. An error becomes a line for each problem and an exit code; `--debug` adds the traceback."""
        try:
            return super().invoke(ctx)
        except PldSearchError as error:
            self._tell(ctx, [] if error.silent else str(error).splitlines() or [type(error).__name__])
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            self._tell(ctx, ["interrupted"])
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            # the reader of stdout has gone: write nothing more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            if said := usage(error):
                self._tell(ctx, [said])
                raise typer.Exit(_USAGE) from None
            if type(error).__module__.startswith(("typer", "click")):
                raise
            first = (str(error).splitlines() or [""])[0]
            self._tell(ctx, [f"unexpected {type(error).__name__}: {first} (--debug shows where)"])
            raise typer.Exit(1) from None

    def _tell(self, ctx: Any, lines: list[str]) -> None:
        if ctx.meta.get(DEBUG):
            traceback.print_exc()
        for line in lines:
            print(f"{PROGRAM}: {line}", file=sys.stderr)  # noqa: T201


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb that is not loaded yet: its module, its function or group there, and its line in the help."""

    module: str
    name: str
    about: str


class VerbTable(MutableMapping[str, Any]):
    """The commands of a group by name; a command is imported and built when it is first read."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self.verbs = dict(verbs)
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            verb = self.verbs[name]
            found = getattr(import_module(verb.module), verb.name)
            self._built[name] = found if isinstance(found, TyperGroup) else _command(name, found)
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.verbs, *self._built]))

    def __len__(self) -> int:
        return len({*self.verbs, *self._built})


def _command(name: str, function: Any) -> Any:
    """Builds the command of a verb's function with typer."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(name)(function)
    return typer.main.get_command(alone)


class LazyVerbs(TyperGroup):
    """A group whose verbs stand in a table: its help loads no verb, and a verb loads only its own module."""

    verbs: ClassVar[Mapping[str, Verb]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = VerbTable(self.verbs)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the verbs and their lines from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.about) for name, verb in self.verbs.items()])
