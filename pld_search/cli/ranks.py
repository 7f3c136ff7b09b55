"""Ranks as processes: `train --ranks K` starts them and returns their exit code; a rank reads its place from
variables.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pld_search.cli.output import say
from pld_search.cli.rank_meeting import INTERFACES, RankMeeting, meeting_of
from pld_search.cli.rank_processes import RankProcesses
from pld_search.cli.verb_group import PROGRAM
from pld_search.host.child import die_with
from pld_search.host.network import loopback

if TYPE_CHECKING:
    from pld_search.training.parallel.rank_group import Place

MEETING = "PLD_SEARCH_MEETING"
_TORCHRUN = "TORCHELASTIC_RUN_ID"


def place() -> Place | None:
    """Returns the rank of this process when `launched` or torchrun started it; None for any other process.

    Under torchrun the process ends with torchrun; when torchrun has one node, it uses the loopback interface only.
    """
    if MEETING not in os.environ and _TORCHRUN not in os.environ:
        return None
    from pld_search.training.parallel.rank_group import Place  # loads torch

    if MEETING not in os.environ:
        _settle_under_torchrun()
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Place(rank, world, local, os.environ.get(MEETING))


def _settle_under_torchrun() -> None:

    die_with(os.getppid())
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        for name in INTERFACES:
            os.environ.setdefault(name, loopback())


def launched(command: Sequence[str], ranks: int) -> int:
    """Runs `command` as `ranks` ranks of this machine, from the main thread; returns the exit code of the first rank.

    Returns 1 when another rank failed or the first was killed, and 128 + the signal's number when SIGTERM or SIGINT
    ended the ranks before they could answer. On a node without the first rank: 0, or 1 when a rank failed. SIGTERM and
    SIGINT are passed on to every rank of this machine. Raises ConfigError when several nodes are asked for without a
    meeting point.
    """

    with tempfile.TemporaryDirectory(prefix="pld-search-", ignore_cleanup_errors=True) as folder:  # mode 0700
        meeting = meeting_of(ranks, Path(folder), os.environ)
        family = RankProcesses(command, [_environment(meeting, local, ranks) for local in range(ranks)])
        family.run()
    if family.lost is not None:
        name = signal.Signals(-(family.codes[family.lost] or 0)).name
        say(f"{PROGRAM}: rank {meeting.first + family.lost} was ended by {name}", aside=True)
    return _answer([code or 0 for code in family.codes], family.asked, has_first=meeting.first == 0)


def launched_module(ranks: int, *words: str) -> int:
    """Calls `launched` for a module of Python: `python -m WORDS`."""
    return launched([sys.executable, "-u", "-m", *words], ranks)


def _environment(meeting: RankMeeting, local: int, ranks: int) -> dict[str, str]:
    """Returns the environment of one rank: this process's variables (they override the defaults), and the
    rank's place.
    """
    usual = {"OMP_NUM_THREADS": "1"} if ranks > 1 else {}  # as in torchrun: ranks would compete for cores
    numbers = {"RANK": meeting.first + local, "WORLD_SIZE": meeting.world}
    numbers |= {"LOCAL_RANK": local, "LOCAL_WORLD_SIZE": ranks}
    own = {name: str(number) for name, number in numbers.items()}
    return {**usual, **meeting.interfaces, **os.environ, **own, MEETING: meeting.url}


def _answer(codes: Sequence[int], asked: Sequence[int], *, has_first: bool) -> int:
    failed = {code for code in codes if code}
    if has_first and codes[0] > 0:
        return codes[0]
    if failed and failed <= {-number for number in asked}:
        return 128 - max(failed)
    return min(len(failed), 1)
