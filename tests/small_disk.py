"""A real disk with little room: a tmpfs, and a file that takes up what is to be gone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path | None]:
    """The folder `place` as a disk of its own; None where this process may not mount one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def needed(disk: Path | None) -> Path:
    """The disk, or the test is skipped."""
    if disk is None:
        pytest.skip("mounting a small tmpfs needs root and a system that lets it mount")
    return disk


def leave_free(disk: Path, free: int) -> None:
    """Make the ballast as large as leaves about so many bytes (4 KiB more or less); where that is all there is, it
    goes.
    """
    ballast = disk / BALLAST
    ballast.unlink(missing_ok=True)
    size = shutil.disk_usage(disk).free - free
    if size > 0:
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
