"""Errors at the command line: one line a problem on stderr, the exception's exit code, a traceback only with --debug."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from pld_search.cli.ranks import tell_exit
from pld_search.errors import PldSearchError

DEBUG = "--debug"
PROGRAM = "pld-search"
_INTERRUPTED = 130


class Verbs(TyperGroup):
    """The root of the command line. Usage errors exit 2 (typer's own), ours by their class, an interrupt 130, anything else 1."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`--debug` counts wherever it stands, before or after the verb."""
        if DEBUG in args:
            ctx.meta[DEBUG] = True
            args = [word for word in args if word != DEBUG]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PldSearchError as error:
            self._tell(ctx, str(error).splitlines() or [type(error).__name__])
            tell_exit(error.exit_code)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            self._tell(ctx, ["interrupted"])
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output has gone; say nothing more
            raise typer.Exit(1) from None
        except Exception as error:
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
