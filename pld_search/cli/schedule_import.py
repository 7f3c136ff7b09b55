"""`schedule import DS_CONFIG`: a DeepSpeed config with `progressive_layer_drop` as a schedule file, and a copy of the
config without the block.
"""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pld_search.cli.options import Json
from pld_search.cli.output import emit, say

if TYPE_CHECKING:
    from pld_search.schedules.deepspeed import Imported

Config = Annotated[Path, typer.Argument(metavar="DS_CONFIG", help="A DeepSpeed config in JSON.")]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder of the two files; nothing in it is overwritten.")
]
_DOCUMENT = "docs/deepspeed.md"


def import_(config: Config, out: Out = Path(), json: Json = False) -> None:
    """Turn a DeepSpeed config into a schedule.

    Of its `progressive_layer_drop`. Writes NAME.schedule.yaml and NAME.without-pld.json, and prints what differs.
    """
    from pld_search.schedules.deepspeed import import_config

    found = import_config(_read(config))
    files = _texts(found, config, out)
    _write(files)
    if json:
        emit(_described(found, files))
        return
    for line in _told(found, files):
        say(line)


def _read(path: Path) -> dict[str, Any]:
    """The config's mapping. Raises ConfigError for a file that is not there, is not JSON, or says one key twice."""
    from pld_search.app.run_files import existing
    from pld_search.errors import ConfigError, Position, Problem

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
        if twice:
            raise ConfigError([Problem("the same key twice", (key,), Position(str(path), 1, 1)) for key in twice])
        return dict(pairs)

    try:
        config = json_text.loads(existing(path, "config").read_text(encoding="utf-8"), object_pairs_hook=once)
    except json_text.JSONDecodeError as error:
        raise ConfigError(
            Problem(f"not JSON: {error.msg}", mark=Position(str(path), error.lineno, error.colno))
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(Problem("not JSON", given=str(path))) from error
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror or error}", given=str(path))) from error
    if not isinstance(config, dict):
        raise ConfigError(
            Problem("a DeepSpeed config is a mapping", mark=Position(str(path), 1, 1), given=type(config).__name__)
        )
    return config


def _texts(found: Imported, config: Path, out: Path) -> dict[str, tuple[Path, str]]:
    """What is written: `schedule` (where the block was enabled) and `config`, each with its place and text."""
    from pld_search.specs.yaml_io import dump

    texts: dict[str, tuple[Path, str]] = {}
    if found.schedule is not None:
        head = f"# Imported from {config.name}. What differs from DeepSpeed, and what comes next: {_DOCUMENT} of pld-search.\n"
        texts["schedule"] = out / f"{config.stem}.schedule.yaml", head + dump(found.schedule)
    texts["config"] = (
        out / f"{config.stem}.without-pld.json",
        json_text.dumps(found.config, indent=2, ensure_ascii=False) + "\n",
    )
    return texts


def _write(files: dict[str, tuple[Path, str]]) -> None:
    """Write all of them or none. Raises ConfigError where one exists already."""
    from pld_search.errors import ConfigError, Problem

    taken = [path for path, _ in files.values() if path.exists() or path.is_symlink()]
    if taken:
        raise ConfigError(
            [
                Problem("exists already, and nothing is overwritten; name another folder with --out", given=str(path))
                for path in taken
            ]
        )
    for path, text in files.values():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            raise ConfigError(Problem(f"cannot be written: {error.strerror or error}", given=str(path))) from error


def _described(found: Imported, files: dict[str, tuple[Path, str]]) -> dict[str, Any]:
    differences = [{"about": each.about, "deepspeed": each.deepspeed, "here": each.here} for each in found.differences]
    return {
        **{name: str(files[name][0]) if name in files else None for name in ("schedule", "config")},
        "differences": differences,
        "next": _next(files),
    }


def _told(found: Imported, files: dict[str, tuple[Path, str]]) -> Iterator[str]:
    for name, (path, _) in files.items():
        yield f"{name + ':':<10}{path}"
    if found.schedule is None:
        yield "schedule: the block was disabled, so every layer ran: that is `full` of the library"
    yield ""
    yield "What differs"
    for each in found.differences:
        yield f"  {each.about}"
        yield f"    DeepSpeed  {each.deepspeed}"
        yield f"    here       {each.here}"
    yield ""
    yield "Next"
    for line in _next(files):
        yield f"  {line}"


def _next(files: dict[str, tuple[Path, str]]) -> list[str]:
    """What to do with the files, as commands and lines of a study."""
    path = files["schedule"][0] if "schedule" in files else None
    named = "full" if path is None else str(path) if path.is_absolute() else f"./{path}"
    return [
        f"pld-search schedule compare full pld {named} --layers 12 --steps 200000",
        f"in a study, `schedule: {named}` under `experiment` or under one of its `systems` (docs/deepspeed.md has a whole one)",
        "pld-search plan STUDY.yaml, then pld-search run STUDY.yaml",
    ]
