"""A quiet machine for measurements: background work that uses these two locks stops while a measurement holds one.

There are two lock files in the user's cache; the system frees both when their holder dies. A measuring process takes
`quiet.lock` (shared) to ask for silence, then waits until it gets `background.lock` (shared), which background work
holds exclusively while it runs. `evidence/background` is such work. This module needs the standard library only, so
scripts outside this environment can use it.

`python -m pld_search.bench.quiet COMMAND ...` runs a command while the machine is kept quiet, and exits with its code.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX: background work is not stopped
    fcntl = None  # type: ignore[assignment]

CACHE = Path("~/.cache/pld-search")
PATIENCE = 30.0
"""Seconds that a measuring process waits for background work to stop; then it goes on with a message."""


class Locks:
    """The two lock files, by default in the user's cache."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = CACHE.expanduser() if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        self.quiet, self.background = folder / "quiet.lock", folder / "background.lock"


def locked(file: int, kind: int) -> bool:
    """Tries once to get a lock on an open file, `fcntl.LOCK_SH` or `LOCK_EX`; returns whether it succeeded."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def quiet(
    locks: Locks | None = None, patience: float = PATIENCE, tell: Callable[[str], None] = print
) -> Iterator[None]:
    """Keeps background work stopped while the context lasts; several processes may do so at once.

    `tell` receives one line when the background did not stop within `patience` seconds.
    """
    if fcntl is None:
        tell("this platform has no fcntl: work in the background is not stopped and runs beside this measurement")
        yield
        return
    locks = locks or Locks()
    with locks.quiet.open("a") as asked, locks.background.open("a") as stopped:
        fcntl.flock(asked.fileno(), fcntl.LOCK_SH)
        limit = time.monotonic() + patience
        while not locked(stopped.fileno(), fcntl.LOCK_SH):
            if time.monotonic() > limit:
                tell(f"work in the background did not stop within {patience:g} s and runs beside this measurement")
                break
            time.sleep(0.05)
        yield


class Background:
    """The background's side of the locks: it holds `background.lock` while it runs."""

    def __init__(self, locks: Locks | None = None) -> None:
        if fcntl is None:
            raise OSError("work in the background needs fcntl, which this platform lacks")
        locks = locks or Locks()
        self._quiet, self._background = locks.quiet.open("a"), locks.background.open("a")

    def asked(self) -> bool:
        """Whether a process asks for silence now."""
        if not locked(self._quiet.fileno(), fcntl.LOCK_EX):
            return True
        fcntl.flock(self._quiet.fileno(), fcntl.LOCK_UN)
        return False

    def begin(self) -> bool:
        """Takes the right to run; returns whether it was free. Taking it again changes nothing."""
        return locked(self._background.fileno(), fcntl.LOCK_EX)

    def end(self) -> None:
        """Gives up the right to run, after the work has stopped."""
        fcntl.flock(self._background.fileno(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Releases both locks."""
        self._quiet.close()
        self._background.close()


def main(command: list[str]) -> int:
    """Runs `command` on a quiet machine; returns its exit code."""
    with quiet(tell=lambda text: print(text, file=sys.stderr)):  # noqa: T201 - a script
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
