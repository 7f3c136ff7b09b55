"""kill -9 of a run that two ranks execute, by `train --ranks`: of one rank, of the command, of all at once."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint
from tests.training.freezing import freeze, thaw, writing
from tests.training.rank_runs import launched, started

RANKS = 2
Victim = Literal["rank", "all", "command"]
Moment = Literal["start", "steps", "moments", "model"]
VICTIMS: tuple[Victim, ...] = ("rank", "all", "command")
MOMENTS: tuple[Moment, ...] = ("start", "steps", "moments", "model")


class Strike(NamedTuple):
    """Who is killed, and when: as the ranks start, at any moment later, or in the middle of a checkpoint (of the ranks'
    moments; of the model).
    """

    victim: Victim
    moment: Moment


@dataclass(slots=True)
class Family:
    """The command and the ranks, which it has started."""

    command: subprocess.Popen[bytes]
    ranks: list[psutil.Process]

    def going(self) -> bool:
        return self.command.poll() is None

    def kill(self, victim: Victim, rng: random.Random) -> None:
        everyone = [*self.ranks, psutil.Process(self.command.pid)]
        for each in {"rank": [rng.choice(self.ranks)], "command": everyone[-1:], "all": everyone}[victim]:
            each.kill()


def strike(experiment: Experiment, execution: Execution, out: Path, blow: Strike, rng: random.Random) -> bool:
    """Start the run and strike; False where it had ended before. Nothing of it is left afterwards."""
    command = started(launched(out, RANKS, experiment, execution), out / "log")
    try:
        family = _family(command)
        if not _reached(family, out / "checkpoints", blow.moment, rng):
            return False
        everyone = psutil.Process(command.pid).children(recursive=True)
        family.kill(blow.victim, rng)
        thaw(family.ranks)
        code = command.wait(timeout=120)
        if blow.victim == "rank":
            assert "was ended by SIGKILL" in (out / "log").read_text()
        assert code == (-9 if blow.victim in ("all", "command") else 1), (blow, code)
        _, left = psutil.wait_procs(everyone, timeout=60)
        assert not left, (blow, left)
    finally:
        command.kill()
        command.wait()
    return True


def _family(command: subprocess.Popen[bytes]) -> Family:
    """As soon as all ranks have been started."""
    while command.poll() is None:
        ranks = psutil.Process(command.pid).children()
        if len(ranks) >= RANKS:
            return Family(command, ranks[:RANKS])
        time.sleep(0.1)
    raise AssertionError(f"the command ended with {command.returncode} before it had started its ranks")


def _reached(family: Family, root: Path, moment: Moment, rng: random.Random) -> bool:
    """Wait for some checkpoints (but at the start), then for the moment. In the middle of a checkpoint all ranks stand
    still.
    """
    goal = 0 if moment == "start" else _newest(root) + rng.randint(1, 3)
    while family.going() and _newest(root) < goal:
        time.sleep(0.005)
    if moment in ("start", "steps"):
        time.sleep(rng.uniform(0, 3 if moment == "start" else 0.2))
        return family.going()
    return freeze(
        family.ranks,
        lambda: writing(root, "0") if moment == "model" else writing(root, "ranks-") and not writing(root, "0"),
        family.going,
    )


def _newest(root: Path) -> int:
    return max(checkpoint.steps_of(root), default=0)
