"""Turns a DeepSpeed config with `progressive_layer_drop` into a schedule file and a config without that block."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Any

from pld_search.app.run_files import existing
from pld_search.errors import ConfigError, Position, Problem
from pld_search.schedules.deepspeed import Imported
from pld_search.specs.yaml_io import dump

_DOCUMENT = "docs/deepspeed.md"


def read_config(path: Path) -> dict[str, Any]:
    """Reads the config's mapping. Raises ConfigError when the file is missing, is no JSON, or has a key twice."""

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


def texts(found: Imported, config: Path, out: Path) -> dict[str, tuple[Path, str]]:
    """Returns the files to write with their paths and texts: `schedule` (if the block was enabled) and `config`."""
    texts: dict[str, tuple[Path, str]] = {}
    if found.schedule is not None:
        head = (
            f"# Imported from {config.name}. What differs from DeepSpeed, and what comes next: {_DOCUMENT} of "
            "pld-search.\n"
        )
        texts["schedule"] = out / f"{config.stem}.schedule.yaml", head + dump(found.schedule)
    texts["config"] = (
        out / f"{config.stem}.without-pld.json",
        json_text.dumps(found.config, indent=2, ensure_ascii=False) + "\n",
    )
    return texts


def write_files(files: dict[str, tuple[Path, str]]) -> None:
    """Writes all files or none. Raises ConfigError when one of them exists already."""
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


def next_steps(files: dict[str, tuple[Path, str]]) -> list[str]:
    """Returns the next steps for the user: commands, and lines for a study."""
    path = files["schedule"][0] if "schedule" in files else None
    named = "full" if path is None else str(path) if path.is_absolute() else f"./{path}"
    return [
        f"pld-search schedule compare full pld {named} --layers 12 --steps 200000",
        f"in a study, `schedule: {named}` under `experiment` or under one of its `systems` "
        "(docs/deepspeed.md has a whole one)",
        "pld-search plan STUDY.yaml, then pld-search run STUDY.yaml",
    ]
