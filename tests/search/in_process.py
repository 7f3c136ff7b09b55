"""The fake trainer called in this process, one run at a time: a study takes milliseconds, and every order of events is
the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from pld_search.host.processes import host
from pld_search.records.study_events import StudyEvent
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.ledger import Ledger
from tests.search import fake_trainer


class Done:
    """A run that has ended."""

    waiting = False
    verdict = None

    def __init__(self, code: int) -> None:
        self._code = code
        self.trace = {"pid": os.getpid(), "process_started": time.time(), "host": host()}

    def poll(self) -> int:
        return self._code

    def stop(self) -> None:
        """It has ended."""

    def kill(self) -> None:
        """It has ended."""


class InProcess:
    """A launcher whose runs have ended when `launch` returns; `launched` are (folder, until, branch), in order."""

    name = "local"
    lasting = False

    def __init__(self) -> None:
        self.launched: list[tuple[Path, int | None, int | None]] = []

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> Done:
        part = {
            word: int(command[list(command).index(word) + 1]) for word in ("--until", "--branch") if word in command
        }
        self.launched.append((folder, part.get("--until"), part.get("--branch")))
        before = signal.getsignal(signal.SIGTERM)
        try:
            return Done(fake_trainer.main(folder, part.get("--until"), part.get("--branch")))
        finally:
            signal.signal(signal.SIGTERM, before)

    def adopt(self, launch: object) -> None:
        pass

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Nothing survives."""

    def close(self) -> None:
        """Nothing is open."""


def snapshots(monkeypatch: pytest.MonkeyPatch, study: Path, place: Path) -> list[Path]:
    """After every record of the study its folder is copied to `place`: what a death right then leaves behind."""
    taken: list[Path] = []
    write = Ledger.write

    def copying(ledger: Ledger, event: StudyEvent) -> None:
        write(ledger, event)
        if ledger.folder == study:
            taken.append(place / f"{len(taken):03d}-{event.NAME}")
            shutil.copytree(study, taken[-1] / study.name)

    monkeypatch.setattr(Ledger, "write", copying)
    return taken
