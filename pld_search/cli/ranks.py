"""Ranks as processes: `train --ranks K` starts torch's launcher and answers for it, and a rank knows itself by its
environment.

torchrun ends with 1 whatever its ranks end with, reports that in thirty lines, gives them 30 seconds after a signal,
and killed by `kill -9` leaves them behind. So: it is run by cli/agent.py, which says one line; the first rank writes
its exit code to a file named by PLD_SEARCH_EXIT_CODE, signals go to the ranks themselves, and every process of the
chain ends with its parent (search/child.py).

A run over several nodes is this on every node, with torchrun's own variables to meet by: PET_NNODES, PET_NODE_RANK,
PET_MASTER_ADDR and PET_MASTER_PORT, where node 0 listens.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from pld_search.training.parallel.ranks import Place

EXIT_CODE = "PLD_SEARCH_EXIT_CODE"
COMMAND = "PLD_SEARCH_COMMAND"
NODES = "PET_NNODES"
_FORWARDED = (signal.SIGTERM, signal.SIGINT)


def place() -> Place | None:
    """Where this process stands when torchrun started it; it then ends with torchrun. None for any other process."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    from pld_search.search.child import die_with
    from pld_search.training.parallel.ranks import Place

    die_with(os.getppid())
    _end_if_late()
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Place(rank, world, local)


def _end_if_late() -> None:
    """A torchrun that was killed before this rank could tie its life to it has left the rank to another parent, which
    no command has started.
    """
    if COMMAND in os.environ:
        import psutil

        if psutil.Process(os.getppid()).ppid() != int(os.environ[COMMAND]):
            os._exit(128 + signal.SIGKILL)


def tell_exit(code: int) -> None:
    """Leave the exit code of the first rank where `launched` looks for it; nothing in any other process."""
    if EXIT_CODE in os.environ and os.environ.get("RANK") == "0":
        Path(os.environ[EXIT_CODE]).write_text(str(code))


def launched(ranks: int, words: Sequence[str]) -> int:
    """Run `pld-search WORDS` on so many ranks of this machine, in a process group of their own; returns the exit code
    of the first.

    On a node without the first rank: 0, or 1 where a rank failed. SIGTERM and SIGINT are passed on to every rank of
    this machine.
    """
    from pld_search.search.child import tied

    meeting = [] if NODES in os.environ else ["--standalone"]
    command = tied(
        [
            sys.executable,
            "-m",
            "pld_search.cli.agent",
            *meeting,
            "--nproc-per-node",
            str(ranks),
            "-m",
            "pld_search",
            *words,
        ]
    )
    with tempfile.TemporaryDirectory(prefix="pld-search-") as folder:
        answer = Path(folder) / "exit-code"
        launcher = subprocess.Popen(
            command, env={**os.environ, EXIT_CODE: str(answer), COMMAND: str(os.getpid())}, process_group=0
        )

        def forward(number: int, _frame: FrameType | None) -> None:
            for rank in _children(launcher.pid):
                os.kill(rank, number)

        before = {each: signal.signal(each, forward) for each in _FORWARDED}
        try:
            code = launcher.wait()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
        return int(answer.read_text()) if answer.exists() else min(abs(code), 1)


def _children(pid: int) -> list[int]:
    """The ranks of a launcher that still live; itself where it has not started them yet."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE] or [
            pid
        ]
    except psutil.NoSuchProcess:
        return []
