"""Runs as batch jobs of SLURM: `sbatch` submits them, `squeue` reports their states, `scancel` ends them.

The batch script becomes the run (`exec`), so the SIGTERM of `--signal=B:TERM@120`, two minutes before a time limit,
reaches the run and not a shell. `--requeue` lets SLURM start the job again after preemption or the loss of its node;
the run then resumes from its checkpoint.
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
"""The verdict for each final state of a job; for COMPLETED and FAILED the exit code decides."""


def open_slurm(settings: Slurm, ranks: int, *, gpus: bool, interval: float = INTERVAL) -> SlurmLauncher:
    """Returns the launcher. Raises ConfigError when SLURM's commands are missing."""
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
    """Submits runs to the queue; `options` are options of sbatch."""

    name = "slurm"
    lasting = True

    def __init__(self, options: Sequence[str] = (), interval: float = INTERVAL) -> None:
        self._options, self._queue = list(options), Queue(interval)

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> SlurmJob:
        """Submits a run; the job sees this process's environment. Raises StudyError with SLURM's message when SLURM
        refuses the job.
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
        # tied to this process: an orphan could submit the job after the next coordinator has looked for it
        done = subprocess.run(
            tied([*words, *self._options]), input=script, env=own, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StudyError(f"SLURM refuses a run: {done.stderr.strip()}")
        self._queue.forget()  # the known states do not contain this job
        return SlurmJob(done.stdout.strip().split(";")[0], self._queue)

    def adopt(self, launch: LaunchRecord) -> SlurmJob | None:
        """Returns the job of an earlier launch, by its number or its name; None when the queue does not know it."""
        job = launch.job or self._queue.named(launch.name)
        return None if job is None else SlurmJob(job, self._queue)

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Cancels the jobs of a dead coordinator. Raises StudyError when SLURM cannot be asked or does not end them."""
        jobs = [job for _, launch in launches if (job := self.adopt(launch)) is not None]
        for job in jobs:
            job.kill()
        limit = time.monotonic() + PATIENCE
        while any(job.poll() is None for job in jobs):
            if time.monotonic() > limit:
                raise StudyError(
                    "SLURM does not end the jobs of the previous coordinator; two processes must not write one run"
                )
            self._queue.forget()
            time.sleep(0.1)

    def close(self) -> None:
        """Does nothing: no resource is held."""


class Queue:
    """The states of this user's jobs; asks at most every `interval` seconds."""

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
        """Returns (state, exit code as SLURM writes it); None when neither queue nor accounting knows the job. While
        the controller is away, returns the last known state.
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
        """Returns the number of the job with this name; None when there is none. Raises StudyError when SLURM cannot be
        asked.
        """
        if name is None:
            return None
        answer = self._ask(["squeue", "--noheader", "--states=all", "--me", f"--name={name}", "--Format=JobID:20"])
        if answer is None:
            raise StudyError(
                "SLURM does not say whether the previous coordinator submitted a job; once it answers, the "
                "same command goes on"
            )
        return next(iter(answer.split()), None)

    def forget(self) -> None:
        """Asks again at the next call of `state`."""
        self._asked = None

    def _remembered(self, job: str) -> tuple[str, str] | None:
        """Returns the accounting's state of a job that left the queue; None without accounting."""
        answer = self._ask(
            ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State,ExitCode"]
        )
        rows = [line.split("|") for line in (answer or "").splitlines() if line.count("|") == 1]
        return (rows[-1][0].split()[0], rows[-1][1]) if rows else None


def answer_of(command: Sequence[str]) -> str | None:
    """Returns the output of a SLURM command; None when the command fails."""
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
        """Returns the exit code; None while the job waits or runs. `verdict` then holds SLURM's reason for the end."""
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
        """Asks a running job to write a checkpoint and end; cancels a waiting job."""
        if self.waiting:
            self.kill()
        elif self.poll() is None:
            answer_of(["scancel", "--batch", "--signal=TERM", self._number])

    def kill(self) -> None:
        """Cancels the job."""
        self._asked_to_end = True
        answer_of(["scancel", self._number])
        self._queue.forget()


def exit_code(text: str) -> int:
    """Converts sacct's `3:0` to 3 and `0:9` to -9; squeue's bare number is a wait status. Anything else counts as a
    kill.
    """
    if text.isdigit():
        return os.waitstatus_to_exitcode(int(text))
    code, _, number = text.partition(":")
    if not code.isdigit():
        return -KILL
    return -int(number) if number.isdigit() and int(number) else int(code)
