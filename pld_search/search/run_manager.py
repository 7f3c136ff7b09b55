"""The live runs of a study as processes: starts them in free slots, watches their files and records their ends."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pld_search.host.host_memory import oom_kills
from pld_search.records.run_record import RunRecord, branch_folder, fold_run
from pld_search.records.study_events import RunExited, RunKey, RunLaunched, RunLaunching
from pld_search.records.study_record import trial_folder
from pld_search.records.trial_record import ENDED, PART_DONE, LaunchRecord, TrialRecord, confirms
from pld_search.search.launch_command import Command, Start
from pld_search.search.launchers.base import LOG, Job, Launcher
from pld_search.search.launchers.open_launcher import end_survivors
from pld_search.search.ledger import Ledger
from pld_search.search.run_outcomes import Circumstances, End, end_of, last_lines, result_of
from pld_search.search.run_queue import QueuedRun
from pld_search.search.slots import Slots
from pld_search.search.watchdog import Watch, size_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.spec_files import write_execution, write_experiment


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a machine for a run, in seconds; None: no limit."""

    timeout: float | None = None
    stall: float | None = None


@dataclass(slots=True)
class _Active:
    task: QueuedRun
    slot: int
    job: Job
    watch: Watch
    attempt: int
    log_size: int
    oom_kills: int
    verdict: str | None = None


class Runs:
    """Every live run of a study. `execution(experiment)` says how a run is executed; `command(start)` is its
    command.
    """

    def __init__(
        self,
        ledger: Ledger,
        slots: Slots,
        launcher: Launcher,
        execution: Callable[[Experiment], Execution],
        command: Command,
        limits: Limits,
    ) -> None:
        self._ledger, self._slots, self._launcher = ledger, slots, launcher
        self._execution, self._command, self._limits = execution, command, limits
        self._active: dict[RunKey, _Active] = {}
        self.disk_full: str | None = None  # the run that found no room: further launches would only fail

    @property
    def active(self) -> Collection[RunKey]:
        """The keys of the runs that are live now."""
        return self._active.keys()

    def launch(self, task: QueuedRun) -> None:
        """Writes the run's files and starts it in the lowest free slot."""
        trial, index = task.trial, task.index
        # a cluster node need not share this process's working directory
        folder = trial_folder(self._ledger.folder, trial.number, index).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        experiment = trial.experiment
        assert experiment is not None  # a configuration that could not be built is never queued
        fresh = {"test": None} if confirms(index) else {}  # only confirming runs read the test split
        write_experiment(
            folder / "experiment.yaml", experiment.model_copy(update={"seed": experiment.seed + index, **fresh})
        )
        write_execution(folder / "execution.yaml", self._execution(experiment))
        earlier = trial.launches.get(index, LaunchRecord())
        slot, ranks = self._slots.take(), self._slots.ranks // self._slots.nodes
        command = list(self._command(Start(folder, ranks, task.until, task.branch, self._slots.nodes)))
        attempt, log_size, before = self._record(task.key, task.branch).attempt, size_of(folder / LOG), oom_kills()
        watch = Watch(folder, self._limits.timeout, self._limits.stall, earlier.seconds)
        name = f"pld-search-{trial.number:04d}-seed-{index}-{uuid.uuid4().hex}"
        announced = RunLaunching(
            trial=trial.number,
            seed_index=index,
            launch=earlier.launches + 1,
            launcher=self._launcher.name,
            name=name,
            slot=slot,
            command=command,
            until=task.until,
            branch=task.branch,
            attempt=attempt,
            log_size=log_size,
        )
        if self._launcher.lasting:  # an unrecorded job would write beside the next job of the run
            self._ledger.write(announced)
        job = self._launcher.launch(command, folder, self._slots.environment(slot), name)
        self._active[task.key] = _Active(task, slot, job, watch, attempt, log_size, before)
        self._ledger.write(RunLaunched.found(announced, job.trace))

    def follow(self, stopping: bool = False) -> None:
        """Notices new events, ends runs that hang or take too long, and records ended runs. While `stopping`, an
        unfinished end is no failure.
        """
        for run in list(self._active.values()):
            code = run.job.poll()
            self._ledger.changed |= run.watch.grew()
            if code is not None:
                self._ended(run, code, stopping)
            elif run.job.waiting:
                run.watch.begin()
            else:
                self._watch(run)

    def _watch(self, run: _Active) -> None:
        verdict = run.watch.verdict()
        if verdict is None:
            return
        if run.verdict is None and verdict.startswith("timed_out"):
            run.job.stop()
        if verdict.startswith("stalled") or run.watch.patience_ended():
            run.job.kill()
        run.verdict = run.verdict or verdict

    def _ended(self, run: _Active, code: int, stopping: bool) -> None:
        del self._active[run.task.key]
        self._slots.give_back(run.slot)
        folder = trial_folder(self._ledger.folder, *run.task.key)
        task, record = run.task, self._record(run.task.key, run.task.branch)
        log = last_lines(folder / LOG, run.log_size)
        # kills on other machines cannot be counted here
        out_of_memory = self._launcher.name == "local" and oom_kills() > run.oom_kills
        verdict = run.verdict or run.job.verdict
        end = end_of(
            record,
            Circumstances(
                code, record.attempt > run.attempt, log, out_of_memory, verdict, task.until, task.branch is not None
            ),
        )
        if end.outcome == "disk_full":
            self.disk_full = str(folder)
        if stopping and end.outcome not in (*ENDED, *PART_DONE, "disk_full"):
            end = End("stopped", end.reason)
        self._exited(task.trial, task.index, end, code, run.watch.seconds)

    def _record(self, key: RunKey, branch: int | None) -> RunRecord:
        """Reads the record of a run, or of its branch that left the run at a step."""
        folder = trial_folder(self._ledger.folder, *key)
        return fold_run(folder if branch is None else branch_folder(folder, branch))

    def _exited(self, trial: TrialRecord, index: int, end: End, code: int | None, seconds: float) -> None:
        self._ledger.write(
            RunExited(
                trial=trial.number,
                seed_index=index,
                launch=trial.launches[index].launches,
                code=code,
                outcome=end.outcome,
                reason=end.reason,
                lines=list(end.lines),
                seconds=round(seconds, 3),
            )
        )

    def stop(self) -> None:
        """Asks every run to checkpoint and end."""
        for run in self._active.values():
            run.job.stop()

    def kill(self) -> None:
        """Ends every run now."""
        for run in self._active.values():
            run.job.kill()

    def take_over(self) -> None:
        """Takes over jobs that outlived their coordinator, kills other processes that it left running, and records the
        state of every run whose end it did not see.
        """
        trials = self._ledger.study.trials.values()
        left = [
            (trial, index, launch)
            for trial in trials
            for index, launch in trial.launches.items()
            if launch.launches and launch.outcome is None
        ]
        left = [each for each in left if not self._adopted(*each)]
        end_survivors(
            self._launcher,
            [(trial_folder(self._ledger.folder, trial.number, index), launch) for trial, index, launch in left],
        )
        for trial, index, launch in left:
            record = self._record((trial.number, index), launch.branch)
            found = result_of(record, launch.until, branch=launch.branch is not None)
            end = found or End("stopped", "the coordinator ended before the run")
            self._exited(trial, index, end, None, max(0.0, (record.last_time or 0.0) - (launch.since or 0.0)))

    def _adopted(self, trial: TrialRecord, index: int, launch: LaunchRecord) -> bool:
        job = self._launcher.adopt(launch) if launch.launcher == self._launcher.name else None
        if job is None:
            return False
        if launch.job is None:  # its coordinator died before it recorded the job
            announced = RunLaunching(
                trial=trial.number,
                seed_index=index,
                launch=launch.launches,
                launcher=launch.launcher,
                name=launch.name,
                slot=launch.slot,
                until=launch.until,
                branch=launch.branch,
                attempt=launch.attempt,
                log_size=launch.log_size,
            )
            self._ledger.write(RunLaunched.found(announced, job.trace))
        slot, task = launch.slot or 0, QueuedRun(trial, index, launch.until, launch.branch)
        self._slots.occupy(slot)
        watch = Watch(
            trial_folder(self._ledger.folder, trial.number, index),
            self._limits.timeout,
            self._limits.stall,
            launch.seconds,
        )
        self._active[task.key] = _Active(task, slot, job, watch, launch.attempt, launch.log_size, oom_kills())
        return True
