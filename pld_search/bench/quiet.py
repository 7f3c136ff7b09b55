"""A quiet machine for whoever measures: work in the background that knows these two locks stops for as long as one is
held.

Two lock files in the user's cache, both freed by the system when their holder dies. Who measures takes `quiet.lock`
(shared) to ask for silence, then waits until it gets `background.lock` (shared), which work in the background holds
alone while it runs. `evidence/background` is such work. Standard library only, so that scripts without this environment
can use it.

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
except ImportError:  # no POSIX: nothing is kept quiet there
    fcntl = None  # type: ignore[assignment]

CACHE = Path("~/.cache/pld-search")
PATIENCE = 30.0
"""Seconds that who measures waits for the background to stop; then it goes on and says so."""


class Locks:
    """The two lock files, in the user's cache unless another folder is given."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = CACHE.expanduser() if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        self.quiet, self.background = folder / "quiet.lock", folder / "background.lock"


def locked(file: int, kind: int) -> bool:
    """Try once to get a lock on an open file, `fcntl.LOCK_SH` or `LOCK_EX`; whether that succeeded."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def quiet(
    locks: Locks | None = None, patience: float = PATIENCE, tell: Callable[[str], None] = print
) -> Iterator[None]:
    """Keep background work stopped while the context lasts; several may hold it at once.

    `tell` hears one line where the background did not stop within `patience` seconds.
    """
    if fcntl is None:
        tell(
            "this platform has no fcntl: work in the background is not stopped; what is measured now is "
            "measured beside it"
        )
        yield
        return
    locks = locks or Locks()
    with locks.quiet.open("a") as asked, locks.background.open("a") as stopped:
        fcntl.flock(asked.fileno(), fcntl.LOCK_SH)
        limit = time.monotonic() + patience
        while not locked(stopped.fileno(), fcntl.LOCK_SH):
            if time.monotonic() > limit:
                tell(
                    f"work in the background did not stop within {patience:g} s; what is measured now is "
                    "measured beside it"
                )
                break
            time.sleep(0.05)
        yield


class Background:
    """The other side: work in the background that holds `background.lock` while it runs."""

    def __init__(self, locks: Locks | None = None) -> None:
        if fcntl is None:
            raise OSError("work in the background needs fcntl, which this platform lacks")
        locks = locks or Locks()
        self._quiet, self._background = locks.quiet.open("a"), locks.background.open("a")

    def asked(self) -> bool:
        """Whether somebody wants silence now."""
        if not locked(self._quiet.fileno(), fcntl.LOCK_EX):
            return True
        fcntl.flock(self._quiet.fileno(), fcntl.LOCK_UN)
        return False

    def begin(self) -> bool:
        """Take the right to run; whether it was free. Taking it twice is taking it once."""
        return locked(self._background.fileno(), fcntl.LOCK_EX)

    def end(self) -> None:
        """Say that the work has stopped."""
        fcntl.flock(self._background.fileno(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Give both locks up."""
        self._quiet.close()
        self._background.close()


def main(command: list[str]) -> int:
    """Run `command` on a quiet machine; its exit code."""
    with quiet(tell=lambda text: print(text, file=sys.stderr)):  # noqa: T201 - a script
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
