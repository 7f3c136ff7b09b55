"""The processes that are timed against each other, and the parent's view of one of them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from pld_search.bench.timed_job import Burst, Peak, TimedJob
from pld_search.errors import BenchError

_WORKER = "pld_search.bench.timed_process"


class Candidate:
    """A timed process, idle except during a burst."""

    def __init__(self, name: str, job: TimedJob) -> None:
        self.name, self.job = name, job
        self.bursts: list[Burst] = []
        self.peak: Peak | None = None

    def __enter__(self) -> Candidate:
        command = [sys.executable, "-m", _WORKER]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._send(self.job.model_dump_json())
        return self

    def burst(self, steps: int) -> Burst:
        """Makes the process run `steps` steps now."""
        self._send(str(steps))
        return Burst.model_validate_json(self._answer())

    def timed(self, steps: int) -> None:
        """Runs a burst that counts."""
        self.bursts.append(self.burst(steps))

    def end(self) -> None:
        """Lets the process finish, and reads its memory peak."""
        self._send("")
        self.peak = Peak.model_validate_json(self._answer())

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._died() from error

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return line

    def _died(self) -> BenchError:
        return BenchError(f"the process of {self.name} ended with code {self._process.wait()}; its output is above")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # the dead process left a line unread
                pipe.close()
