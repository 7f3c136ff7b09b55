"""A real PostgreSQL for tests: a cluster of its own on a free loopback port, run as an unprivileged user, gone
afterwards.

The binaries are those of Debian's package `postgresql` (any version, in PATH or where the package puts them); `.ci/run`
installs it. Where they are missing and this process may not install them, the tests are skipped and say so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = "PostgreSQL's binaries are not installed (apt-get install postgresql)"


def binaries() -> Path | None:
    """The folder that holds initdb and pg_ctl; the newest version first."""
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    return places[-1].parent if places else None


class Postgres:
    """One cluster; `url` is for Optuna's storage."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self._data, self._tools, self._user = folder / "data", tools, unprivileged()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--no-sync", "--auth=trust", "--username=tester", "--encoding=UTF8", "-D", str(self._data))
        self._options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._run(
            "pg_ctl",
            "start",
            "-w",
            "-t",
            "60",
            "-D",
            str(self._data),
            "-o",
            self._options,
            "-l",
            str(self._data.parent / "log"),
        )

    def stop(self) -> None:
        """Stop it now: every connection is cut."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._data))

    def _run(self, tool: str, *arguments: str) -> None:
        command = [str(self._tools / tool), *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self._data.parent)}
        subprocess.run(
            command,
            user=self._user,
            cwd=self._data.parent,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )


def unprivileged() -> int | None:
    """The user to run as, where this is root, which PostgreSQL refuses; None where it is not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return known.get("postgres", known.get("nobody"))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running cluster. Skips the test where there are no binaries."""
    tools = binaries()
    if tools is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory(prefix="pld-postgres-", ignore_cleanup_errors=True) as place:
        if (user := unprivileged()) is not None:
            os.chown(place, user, -1)
        cluster = Postgres(Path(place), tools)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
