"""A cache of folders by content: each is built once under a lock, in a separate folder that is renamed when complete.

    <root>/<64 digits>/          a complete build; the digits are its content digest
    <root>/index/<key>.json      the build for an input, so that the same input is not built again
    <root>/locks/<key>.lock      held by the process that builds this input
    <root>/building-<key>/       an unfinished build; the next build continues it
    <root>/checked/<digits>/<host>      this machine has built the folder, or compared every file with the manifest's
                                        SHA-256

A build writes its `manifest.json` with size and SHA-256 of every other file. A folder counts as complete when all sizes
agree. A folder from another machine is compared by content once, and built again if it differs.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pld_search.errors import DataError
from pld_search.frozen import digest_of
from pld_search.host.disk import file_digest, file_entry, flush, held, write_atomically

MANIFEST = "manifest.json"
Build = Callable[[Path], str]


def obtain(root: Path, inputs: object, build: Build, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Returns the folder for `inputs` (any JSON value); `build(folder)` creates it and returns its content digest.

    Processes that ask for the same inputs at the same time wait for one build. A build that was interrupted (a signal,
    a kill, a full disk) continues in its own folder; a build that failed because of its input leaves nothing. `tell` is
    called with a message when a damaged folder is built again.
    """
    key = digest_of(inputs).removeprefix("sha256:")
    index = root / "index" / f"{key}.json"
    (root / "locks").mkdir(parents=True, exist_ok=True)
    with held(root / "locks" / f"{key}.lock"):
        known = _known(root, index)
        if known is not None:
            wrong = () if _mark(known).is_file() else damaged(known)
            if not wrong:
                _mark_checked(known)
                return known
            tell(f"{known}: {', '.join(wrong)} is not as it was built; building it again")
            shutil.rmtree(known)
        building = root / f"building-{key}"
        building.mkdir(exist_ok=True)
        try:
            digest = build(building)
            final = _publish(building, root / digest.removeprefix("sha256:"))
        except DataError:
            shutil.rmtree(building, ignore_errors=True)
            raise
        shutil.rmtree(building, ignore_errors=True)
        write_atomically(index, json.dumps({"digest": digest}) + "\n")
        return final


def is_whole(folder: Path) -> bool:
    """Whether a folder has a manifest and every file that it lists, with the stated size."""
    try:
        sizes = read_manifest(folder)["files"]
        return all((folder / name).stat().st_size == entry["bytes"] for name, entry in sizes.items())
    except (DataError, OSError, KeyError, TypeError, AttributeError):
        return False


def damaged(folder: Path) -> tuple[str, ...]:
    """Reads all files of a built folder and returns those which are missing or differ from the manifest's digests.

    If there is one, the folder no longer counts as checked on this machine, so that `obtain` checks it again.
    """
    try:
        entries = read_manifest(folder)["files"].items()
        wrong = tuple(
            name
            for name, entry in entries
            if not (folder / name).is_file() or file_digest(folder / name) != entry["sha256"]
        )
    except (DataError, OSError, KeyError, TypeError, AttributeError):
        wrong = (MANIFEST,)
    if wrong:
        _mark(folder).unlink(missing_ok=True)
    return wrong


def builds(root: Path) -> list[Path]:
    """Returns every built folder under a root, sorted by name."""
    return sorted(path for path in root.glob("*") if len(path.name) == 64 and path.is_dir())


def _mark(folder: Path) -> Path:
    return folder.parent / "checked" / folder.name / socket.gethostname()


def _mark_checked(folder: Path) -> None:
    mark = _mark(folder)
    if not mark.is_file():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a built folder. Raises DataError if there is no valid one."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: no readable {MANIFEST}; run `pld-search prepare` again") from error
    if not isinstance(content, dict):
        raise DataError(f"{folder}: {MANIFEST} is not what this project writes")
    return content


def write_manifest(folder: Path, content: dict[str, Any], files: Iterable[str]) -> None:
    """Writes the manifest as the last file: `content`, and size and SHA-256 of each of `files`."""
    entries = {name: file_entry(folder / name) for name in sorted(files)}
    text = json.dumps({**content, "files": entries}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / MANIFEST, text)


def _known(root: Path, index: Path) -> Path | None:
    try:
        folder = root / json.loads(index.read_text(encoding="utf-8"))["digest"].removeprefix("sha256:")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return folder if is_whole(folder) else None


def _publish(building: Path, final: Path) -> Path:
    for file in building.iterdir():
        flush(file)
    if final.exists():
        if is_whole(final) and not damaged(final):
            _mark_checked(final)
            return final
        shutil.rmtree(final)
    try:
        building.rename(final)
    except OSError:
        if not is_whole(final):  # otherwise another input led to the same content at the same time
            raise
    flush(final.parent)
    _mark_checked(final)
    return final
