"""`schedule import DS_CONFIG`: turns a DeepSpeed config with `progressive_layer_drop` into a schedule file and a copy
of the config without the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pld_search.app.import_schedule import next_steps, read_config, texts, write_files
from pld_search.cli.options import Json
from pld_search.cli.output import emit, tell
from pld_search.schedules.deepspeed import Imported, import_config

Config = Annotated[Path, typer.Argument(metavar="DS_CONFIG", help="A DeepSpeed config in JSON.")]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder of the two files; nothing in it is overwritten.")
]


def import_(config: Config, out: Out = Path(), json: Json = False) -> None:
    """Turn a DeepSpeed config into a schedule.

    Of its `progressive_layer_drop`. Writes NAME.schedule.yaml and NAME.without-pld.json, and prints what differs.
    """
    found = import_config(read_config(config))
    files = texts(found, config, out)
    write_files(files)
    if json:
        emit(_described(found, files))
        return
    for line, hanging in _paragraphs(found, files):
        tell(line, hanging=hanging)


def _described(found: Imported, files: dict[str, tuple[Path, str]]) -> dict[str, Any]:
    differences = [{"about": each.about, "deepspeed": each.deepspeed, "here": each.here} for each in found.differences]
    return {
        **{name: str(files[name][0]) if name in files else None for name in ("schedule", "config")},
        "differences": differences,
        "next": next_steps(files),
    }


def _paragraphs(found: Imported, files: dict[str, tuple[Path, str]]) -> Iterator[tuple[str, int]]:
    """Yields each printed paragraph with the indentation of its continuation lines."""
    for name, (path, _) in files.items():
        yield f"{name + ':':<10}{path}", 10
    if found.schedule is None:
        yield "schedule: the block was disabled, so every layer ran: that is `full` of the library", 10
    yield "", 0
    yield "What differs", 0
    for each in found.differences:
        yield f"  {each.about}", 4
        yield f"    DeepSpeed  {each.deepspeed}", 15
        yield f"    here       {each.here}", 15
    yield "", 0
    yield "Next", 0
    for line in next_steps(files):
        yield f"  {line}", 4
