"""The coordinator's loop: fills free slots, tells the results of ended runs and notifies observers, until nothing is
left to do or a signal arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pld_search.errors import StudyError
from pld_search.host.signals import Stopping
from pld_search.records.study_events import StudyCompleted, StudyPaused, TrialRetried
from pld_search.search.confirmation import Confirmer
from pld_search.search.ledger import Ledger
from pld_search.search.observer import Observer
from pld_search.search.requests import Inbox
from pld_search.search.run_manager import Runs
from pld_search.search.run_outcomes import unconfirmed
from pld_search.search.run_queue import Agenda
from pld_search.search.sampling import Samplers
from pld_search.search.seed_looks import SeedLooks
from pld_search.search.slots import Slots
from pld_search.search.stop_trials import Judge
from pld_search.search.tell_results import Teller
from pld_search.search.trial_queue import Asker


@dataclass(slots=True)
class Loop:
    """Runs a study; `poll` seconds pass between two looks at the runs.

    asker: chooses the next configuration. agenda: chooses the next run to launch. runs: the live runs. teller: values
    an ended trial and tells the samplers. judge: decides which runs go on from a rung. recommend: records which sampled
    configuration won. confirmer: asks for fresh seeds at the end. looks: gives more seeds to undecided rows. inbox:
    holds the requests of other processes.
    """

    ledger: Ledger
    asker: Asker
    agenda: Agenda
    runs: Runs
    teller: Teller
    judge: Judge
    recommend: Callable[[], None]
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
        """Loops until nothing is left to do or a signal has stopped every run. Returns the exit code: 0, or 128 + the
        signal's number.

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
        """Makes one pass: tells the results of ended runs and fills free slots; jobs then go on by themselves. Returns
        None while something still runs, else the exit code as `run`.
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
        """Fills the slots. Returns True when there was nothing to launch, nothing runs, nothing was recorded since
        `seen` records, the storage knows all records, and no decision lets the study go on.
        """
        return (
            self._fill() == "nothing"
            and not self.runs.active
            and self.ledger.count == seen
            and self.samplers.settled()
            and not self._go_on()
        )

    def _take_stock(self) -> None:
        """Reuses equal results before results are told, and tells results before a system's row is chosen."""
        self.agenda.reuse()
        self.teller.tell_ended()
        self.judge.judge()
        self.teller.choose()

    def _fill(self) -> Literal["full", "later", "nothing"]:
        """Gives every free slot a run. Returns "full", "later" (more runs will come to launch) or "nothing" (no more
        runs).
        """
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
        """Whether work follows when nothing is left to train: runs that wait at a rung, the confirmation, or a look."""
        if self.judge.close():
            return True
        self.teller.choose(final=True)
        self.recommend()
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
        """Lets every run write a checkpoint and end (a second signal: end now), then records that the study is
        paused.
        """
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


def retry(ledger: Ledger, samplers: Samplers, retries: int, number: int | None = None) -> None:
    """Retries one failed trial, or (None) all of them; does nothing for a trial without a failure.

    Optuna cannot take back that a trial failed, so the question is asked again under a new number. A confirming run is
    no part of a question: the trial keeps its result.
    """
    for trial in ledger.study.trials.values():
        if number not in (None, trial.number):
            continue
        if trial.failed:
            ledger.write(TrialRetried(trial=trial.number, number=samplers.free_number(trial)))
            samplers.again(trial)
        elif fresh := unconfirmed(trial, retries):
            ledger.write(TrialRetried(trial=trial.number, seeds=fresh))
