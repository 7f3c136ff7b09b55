"""The coordinator's loop: free slots are filled, ended runs told, observers notified, until nothing is left or a signal
comes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pld_search.errors import StudyError
from pld_search.host.signals import Stopping
from pld_search.records.study_events import StudyCompleted, StudyPaused
from pld_search.search.confirmation import Confirmer
from pld_search.search.early_stopping import Judge
from pld_search.search.ledger import Ledger
from pld_search.search.observer import Observer
from pld_search.search.recommendation import Recommender
from pld_search.search.requests import Inbox
from pld_search.search.results import Teller
from pld_search.search.retry_failures import retry
from pld_search.search.run_manager import Runs
from pld_search.search.run_queue import Agenda
from pld_search.search.sampling import Samplers
from pld_search.search.seed_looks import SeedLooks
from pld_search.search.slots import Slots
from pld_search.search.trial_queue import Asker


@dataclass(slots=True)
class Loop:
    """One pass over a study, `poll` seconds between two looks at the runs.

    asker: says which configuration is tried next. agenda: says which run is launched next. runs: the runs that live.
    teller: values a trial that has ended, and tells the samplers. judge: says which runs go on from a rung.
    recommender: says which sampled configuration won. confirmer: gives fresh seeds at the end. looks: gives
    more seeds to undecided rows. inbox: holds the requests of other processes.
    """

    ledger: Ledger
    asker: Asker
    agenda: Agenda
    runs: Runs
    teller: Teller
    judge: Judge
    recommender: Recommender
    confirmer: Confirmer
    looks: SeedLooks
    samplers: Samplers
    slots: Slots
    stopping: Stopping
    inbox: Inbox
    observers: Sequence[Observer]
    poll: float
    retries: int

    def run(self) -> int:
        """Until nothing is left to do, or a signal has stopped every run. The exit code: 0, or 128 + the signal's
        number.

        Raises StudyError, after every run was stopped, when the disk is full or the storage stays away.
        """
        seen = -1
        while self.stopping.number is None and self.runs.disk_full is None:
            self._requests()
            if self.ledger.count != seen:  # only records change what there is to tell and to reuse
                seen = self.ledger.count
                self._take_stock()
            if self._nothing_left(seen):
                return self._complete()
            self._notice()
            time.sleep(self.poll)
            self.runs.follow()
        return self._stop()

    def once(self) -> int | None:
        """One pass: what ended is told, free slots are filled, and the rest goes on by itself. None while something
        does; else as `run`.
        """
        self._requests()
        if self.stopping.number is not None:
            return self._stop()
        self.runs.follow()
        seen = -1
        while self.ledger.count != seen:
            seen = self.ledger.count
            self._take_stock()
            if self._nothing_left(seen):
                return self._complete()
        self._notice()
        return None

    def _nothing_left(self, seen: int) -> bool:
        """Fill the slots; whether nothing was there to launch, nothing runs, nothing was recorded since `seen` records,
        the storage knows all of it, and no decision lets the study go on.
        """
        return (
            self._fill() == "nothing"
            and not self.runs.active
            and self.ledger.count == seen
            and self.samplers.settled()
            and not self._go_on()
        )

    def _take_stock(self) -> None:
        """Results are reused before they are told, told before a system's row is chosen."""
        self.agenda.reuse()
        self.teller.tell_ended()
        self.judge.judge()
        self.teller.choose()

    def _fill(self) -> Literal["full", "later", "nothing"]:
        """Give every free slot a run: slots are full, or there will be more to launch, or there is nothing more."""
        while self.slots.free and self.stopping.number is None:
            task = self.agenda.next(self.runs.active)
            if task is not None:
                self.runs.launch(task)
                continue
            if self.judge.promote():
                continue
            answer = self.asker.next()
            if answer != "asked":
                return answer
            self.agenda.reuse()
        return "full"

    def _go_on(self) -> bool:
        """Whether something follows once nothing is left to train: runs that wait at a rung, then the confirmation."""
        if self.judge.close():
            return True
        self.teller.choose(final=True)
        self.recommender.recommend()
        return self.confirmer.begin() or self.looks.begin()

    def _complete(self) -> int:
        self.ledger.write(StudyCompleted())
        self._notice()
        return 0

    def _requests(self) -> None:
        for each in self.inbox.take():
            if each.kind == "stop":
                self.stopping.request(now=bool(each.fields.get("now")))
            else:
                retry(self.ledger, self.samplers, self.retries, each.fields.get("trial"))

    def _stop(self) -> int:
        """Let every run checkpoint and end (a second signal: end now), then write that the study is paused."""
        self.runs.stop()
        while self.runs.active:
            if self.stopping.urgent:
                self.runs.kill()
            self.runs.follow(stopping=True)
            self._notice()
            self._requests()
            time.sleep(min(self.poll, 0.05))
        self._take_stock()
        full = self.runs.disk_full
        self.ledger.write(
            StudyPaused(reason=f"signal {self.stopping.number}" if full is None else "no space left on the disk")
        )
        self._notice()
        if full is not None:
            raise StudyError(
                f"no space left on the disk ({full}); every run keeps its last checkpoint: make room, and "
                "the same command goes on"
            )
        return self.stopping.exit_code

    def _notice(self) -> None:
        if self.ledger.changed:
            self.ledger.changed = False
            for observer in self.observers:
                observer.notice(self.ledger.folder)
