"""One timed process: `python -m pld_search.bench.timed_process` reads a TimedJob, then one number of steps on each
line; it answers each number with a Burst and the end with its Peak.

A separate process for every candidate keeps their memory apart and lets the parent time them in turns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

import torch

from pld_search.bench import own_engine
from pld_search.bench.timed_job import Burst, Peak, TimedJob
from pld_search.costs.memory import memory_of
from pld_search.host.host_memory import peak_resident_bytes, resident_bytes
from pld_search.training.device import compute_settings
from pld_search.training.micro_batch import fitted
from pld_search.training.setup import open_setup


def main() -> None:
    """Runs one candidate: reads the job and the numbers of steps from standard input, answers on standard output."""
    commands, answers = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # the output of libraries must not mix with the answers
    job = TimedJob.model_validate_json(commands.readline())
    setup = fitted(open_setup(job.experiment, job.execution))
    assert setup.fit is not None

    def answer(value: Burst | Peak) -> None:
        answers.write(value.model_dump_json() + "\n")
        answers.flush()

    with compute_settings(job.execution, setup.device):
        before = resident_bytes()
        if setup.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(setup.device)
        wanted = _numbers(commands)
        if job.engine == "pld-search":
            for burst in own_engine.bursts(job, setup, wanted):
                answer(burst)
        else:
            from pld_search.bench import transformers_trainer  # loads the Trainer, which the own engine does not need

            transformers_trainer.train(job, setup, wanted, answer)
        on_device = (
            torch.cuda.max_memory_allocated(setup.device)
            if setup.device.type == "cuda"
            else peak_resident_bytes() - before
        )
        expected = (
            memory_of(job.experiment, job.execution, setup.fit.size).total if job.engine == "pld-search" else None
        )
        answer(Peak(bytes=on_device, micro_batch=setup.fit.size, forecast=expected))


def _numbers(commands: TextIO) -> Iterator[int]:
    for line in commands:
        if not line.strip():
            return
        yield int(line)


if __name__ == "__main__":
    main()
