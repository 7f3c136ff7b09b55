"""Runs as batch jobs of SLURM: `sbatch` hands them in, `squeue` tells their states, `scancel` ends them.

The batch script becomes the run (`exec`), so that the SIGTERM of `--signal=B:TERM@120`, two minutes before a time
limit, reaches it and not a shell. `--requeue` lets SLURM begin it again after preemption or the loss of its node; its
checkpoint does the rest.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.host.child import tied
from pld_search.host.processes import KILL, RUN
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.base import LOG
from pld_search.specs.launcher_settings import Slurm

INTERVAL = 5.0  # seconds between two questions to the controller, for all jobs at once
PATIENCE = 60.0
WAITING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
GOING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})
VERDICTS = {
    "TIMEOUT": "stopped: the time limit of its job; it goes on from its checkpoint",
    "PREEMPTED": "stopped: preempted",
    "OUT_OF_MEMORY": "out_of_memory: more memory than its job has",
    "NODE_FAIL": "lost_node: its node failed",
    "BOOT_FAIL": "lost_node: its node did not start",
    "CANCELLED": "killed: cancelled in SLURM",
    "DEADLINE": "timed_out: the deadline of its job",
    "REVOKED": "stopped: its job went to another cluster",
}
"""What a final state says about a run; COMPLETED and FAILED leave it to the exit code."""


def open_slurm(settings: Slurm, ranks: int, *, gpus: bool, interval: float = INTERVAL) -> SlurmLauncher:
    """Raises ConfigError where SLURM's commands are missing."""
    missing = [tool for tool in ("sbatch", "squeue", "scancel") if shutil.which(tool) is None]
    if missing:
        raise ConfigError(
            Problem(f"launcher `slurm` needs SLURM's commands; missing here: {', '.join(missing)}", ("launcher",))
        )
    options = [
        f"--ntasks=1 --cpus-per-task={settings.cpus_per_rank * ranks}",
        *([f"--gpus-per-node={ranks}"] if gpus else []),
    ]
    return SlurmLauncher([*shlex.split(" ".join(options)), *settings.options], interval)


class SlurmLauncher:
    """Hands runs to the queue; `options` are those of sbatch."""

    name = "slurm"
    lasting = True

    def __init__(self, options: Sequence[str] = (), interval: float = INTERVAL) -> None:
        self._options, self._queue = list(options), Queue(interval)

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> SlurmJob:
        """As the interface says; the job sees this process's variables. Raises StudyError with SLURM's own words when
        it refuses the job.
        """
        script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
        log = str(folder.absolute() / LOG)
        words = [
            "sbatch",
            "--parsable",
            f"--job-name={name}",
            f"--chdir={Path.cwd()}",
            "--export=ALL",
            "--requeue",
            "--signal=B:TERM@120",
            "--open-mode=append",
            f"--output={log}",
            f"--error={log}",
        ]
        own = {**os.environ, **environment, RUN: str(folder.absolute())}
        # tied: an orphan could hand the job in after the next coordinator has looked for it
        done = subprocess.run(
            tied([*words, *self._options]), input=script, env=own, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StudyError(f"SLURM refuses a run: {done.stderr.strip()}")
        self._queue.forget()  # the states known so far are without this job
        return SlurmJob(done.stdout.strip().split(";")[0], self._queue)

    def adopt(self, launch: LaunchRecord) -> SlurmJob | None:
        """The job of an earlier launch, by its number or its name; None where the queue has none."""
        job = launch.job or self._queue.named(launch.name)
        return None if job is None else SlurmJob(job, self._queue)

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Cancel jobs of a coordinator that is gone. Raises StudyError where SLURM cannot be asked, or does not end
        them.
        """
        jobs = [job for _, launch in launches if (job := self.adopt(launch)) is not None]
        for job in jobs:
            job.kill()
        limit = time.monotonic() + PATIENCE
        while any(job.poll() is None for job in jobs):
            if time.monotonic() > limit:
                raise StudyError(
                    "SLURM does not end the jobs of the coordinator before; two processes must not write one run"
                )
            self._queue.forget()
            time.sleep(0.1)

    def close(self) -> None:
        """Nothing is held."""


class Queue:
    """The states of this user's jobs, asked for at most every `interval` seconds."""

    def __init__(
        self,
        interval: float,
        ask: Callable[[Sequence[str]], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval, self._ask, self._clock = interval, ask or answer_of, clock
        self._asked: float | None = None
        self._states: dict[str, tuple[str, str]] = {}

    def state(self, job: str) -> tuple[str, str] | None:
        """(state, exit code as SLURM writes it); None when nobody knows the job any more. While the controller is away:
        the last known.
        """
        if self._asked is None or self._clock() - self._asked >= self._interval:
            self._asked = self._clock()
            answer = self._ask(
                ["squeue", "--noheader", "--states=all", "--me", "--Format=JobID:20,State:20,exit_code:12"]
            )
            if answer is None:
                return self._states.get(job, ("PENDING", ""))
            self._states = {
                words[0]: (words[1], words[2]) for line in answer.splitlines() if len(words := line.split()) == 3
            }
        return self._states.get(job) or self._remembered(job)

    def named(self, name: str | None) -> str | None:
        """The number of the job of that name; None where there is none. Raises StudyError where SLURM cannot
        be asked.
        """
        if name is None:
            return None
        answer = self._ask(["squeue", "--noheader", "--states=all", "--me", f"--name={name}", "--Format=JobID:20"])
        if answer is None:
            raise StudyError(
                "SLURM cannot be asked whether the coordinator before handed in a job; once it answers, the "
                "same command goes on"
            )
        return next(iter(answer.split()), None)

    def forget(self) -> None:
        """Ask anew at the next question."""
        self._asked = None

    def _remembered(self, job: str) -> tuple[str, str] | None:
        """What the accounting knows of a job that left the queue; nothing where there is no accounting."""
        answer = self._ask(
            ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State,ExitCode"]
        )
        rows = [line.split("|") for line in (answer or "").splitlines() if line.count("|") == 1]
        return (rows[-1][0].split()[0], rows[-1][1]) if rows else None


def answer_of(command: Sequence[str]) -> str | None:
    """What a command of SLURM prints; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


class SlurmJob:
    """One job of the queue."""

    def __init__(self, number: str, queue: Queue) -> None:
        self._number, self._queue = number, queue
        self._code: int | None = None
        self._asked_to_end = False
        self.trace = {"job": number}
        self.waiting = True
        self.verdict: str | None = None

    def poll(self) -> int | None:
        """The exit code; None while the job waits or runs. `verdict` then says what SLURM ended it for."""
        if self._code is None:
            found = self._queue.state(self._number)
            state, code = found if found is not None else ("FORGOTTEN", "")
            self.waiting = state in WAITING
            if not self.waiting and state not in GOING:
                self._code, self.verdict = exit_code(code), VERDICTS.get(state)
                if state == "FORGOTTEN":
                    self.verdict = "stopped: SLURM no longer knows its job"
                if state == "CANCELLED" and self._asked_to_end:
                    self.verdict = "stopped: cancelled by the coordinator"
        return self._code

    def stop(self) -> None:
        """Ask a running job to write a checkpoint and end; a waiting job is cancelled."""
        if self.waiting:
            self.kill()
        elif self.poll() is None:
            answer_of(["scancel", "--batch", "--signal=TERM", self._number])

    def kill(self) -> None:
        """Cancel the job."""
        self._asked_to_end = True
        answer_of(["scancel", self._number])
        self._queue.forget()


def exit_code(text: str) -> int:
    """sacct's `3:0` -> 3 and `0:9` -> -9; squeue's bare number is a wait status. What SLURM does not say counts as a
    kill.
    """
    if text.isdigit():
        return os.waitstatus_to_exitcode(int(text))
    code, _, number = text.partition(":")
    if not code.isdigit():
        return -KILL
    return -int(number) if number.isdigit() and int(number) else int(code)
