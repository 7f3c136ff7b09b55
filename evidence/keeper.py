"""The background process: runs one study after the other, and stops while a measurement or a user asks for silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evidence import process_tree
from evidence.places import Home, name_of, studies
from pld_search.bench.quiet import Background

POLL = 0.5
INTERRUPTED = (130, 143)
OURS = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "MLFLOW_TRACKING_URI",
    "OPTUNA_STORAGE",
    "PLD_SEARCH_MACHINE",
    "CUDA_VISIBLE_DEVICES",
)
"""Variables of the shell that would affect the runs: other code, other stores, another machine."""
Command = Callable[[Path, int], Sequence[str]]


class Keeper:
    """Runs the studies of a home. `command` makes the command line of a study's first `n` seeds; `tell` receives a line
    for each event.
    """

    def __init__(
        self, home: Home, background: Background, command: Command, tell: Callable[[str], None], poll: float = POLL
    ) -> None:
        self._home, self._background, self._command, self._tell, self._poll = home, background, command, tell, poll
        self._running = self._ending = False

    def end(self, *_: object) -> None:
        """Ends at the next look: the current runs checkpoint and stop."""
        self._ending = True

    def run(self) -> None:
        """Runs every study by whole blocks of seeds: all systems at seed 0, then all at seed 1. Returns when all are
        done or after `end`.

        It searches for studies again after each one, so a study that is added meanwhile also runs.
        """
        done: set[tuple[str, int]] = set()
        while not self._ending:
            left = [each for each in self._blocks() if (each[0].as_posix(), each[1]) not in done]
            if not left:
                return
            study, seeds = left[0]
            code = self._one(study, seeds)
            if code in INTERRUPTED:
                return
            done.add((study.as_posix(), seeds))

    def _blocks(self) -> Iterator[tuple[Path, int]]:
        for study in studies(self._home.designs):
            first = seeds_asked(self._home.runs / name_of(study))
            yield from ((study, seeds) for seeds in range(max(1, first), seeds_of(study) + 1))

    def _one(self, study: Path, seeds: int) -> int:
        """Runs one command from start to end, stopped and continued as asked; returns its exit code."""
        while not self._may_run():
            if self._ending:
                return INTERRUPTED[1]
            time.sleep(self._poll)
        self._tell(f"{name_of(study)}: seeds 0 to {seeds - 1}")
        environment = {name: value for name, value in os.environ.items() if name not in OURS} | {"OMP_NUM_THREADS": "1"}
        with self._home.log.open("ab") as log:
            child = subprocess.Popen(
                self._command(study, seeds),
                cwd=self._home.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._running = True
        asked_to_end = False
        while (code := child.poll()) is None:
            self._look(child.pid)
            if self._ending and not asked_to_end:
                process_tree.go_on(child.pid)
                child.send_signal(signal.SIGTERM)
                asked_to_end = True
            time.sleep(self._poll)
        self._background.end()
        self._tell(f"{name_of(study)}: seeds 0 to {seeds - 1} ended with code {code}")
        return code if code >= 0 else 128 - code

    def _look(self, pid: int) -> None:
        if self._running and not self._ending and self._wanted_quiet():
            process_tree.stop(pid)
            self._background.end()
            self._running = False
            self._tell("stopped: somebody asked for silence")
        elif not self._running and (self._ending or self._may_run()):
            process_tree.go_on(pid)
            self._running = True
            self._tell("going on")

    def _wanted_quiet(self) -> bool:
        return self._home.paused.exists() or self._background.asked()

    def _may_run(self) -> bool:
        return not self._wanted_quiet() and self._background.begin()


def run_command(home: Home, study: Path, seeds: int) -> list[str]:
    """Returns the command for the first `seeds` seeds of a study: one slot, one thread, everything below the home."""
    machine = home.designs / "machine.yaml"
    places = ["--runs", str(home.runs), "--set", f"machine.cache={home.folder / 'cache'}"]
    return [str(home.program), "run", str(study), "--set", f"seeds={seeds}", "--machine", str(machine), *places]


def seeds_of(study: Path) -> int:
    """Returns the number of seeds in a study's file; 1 when it states none. (The keeper needs no packages, so it has no
    YAML parser.)
    """
    stated = [
        line.split(":")[1].split("#")[0]
        for line in study.read_text(encoding="utf-8").splitlines()
        if line.startswith("seeds:")
    ]
    return int(stated[0]) if stated else 1


def seeds_asked(folder: Path) -> int:
    """Returns the seeds of a study's last run; 0 without records. Fewer seeds would be refused as another study."""
    path = folder / "study.jsonl"
    asked = 0
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        event: dict[str, Any] = json.loads(line) if line.endswith(b"}") else {}
        asked = event["definition"]["seeds"] if "definition" in event else asked
    return int(asked)
