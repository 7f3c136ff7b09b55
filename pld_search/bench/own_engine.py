"""This project's own engine in a timed process: the training loop without logs, validation and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pld_search.bench.timed_job import Burst, TimedJob
from pld_search.training import state
from pld_search.training.device import synchronize
from pld_search.training.prefetch import Prefetch
from pld_search.training.setup import Setup
from pld_search.training.step import train_step


def bursts(job: TimedJob, setup: Setup, wanted: Iterator[int]) -> Iterator[Burst]:
    """Yields one burst of steps for every number in `wanted`."""
    run = state.fresh(setup)
    meter = run.telemetry.meter
    with Prefetch(setup.batch_at, job.start, job.experiment.steps) as prefetched:
        batches = iter(prefetched)
        for steps in wanted:
            before, inside, losses = meter.progress()["progress/tflop"], 0.0, []
            run.telemetry.restart_clock()
            begun = time.perf_counter()
            flights = []
            for _ in range(steps):
                step, batch = next(batches)
                flights.append(train_step(setup, run, step, batch))
                run.telemetry.push(flights[-1])
            run.telemetry.settle()
            synchronize(setup.device)
            seconds = time.perf_counter() - begun
            for flight in flights:
                inside += setup.clock.seconds(flight.begun, flight.ended)
                losses.append(float(flight.numbers[0]))
            flops = (meter.progress()["progress/tflop"] - before) * 1e12
            yield Burst(steps=steps, seconds=seconds, inside=inside, flops=flops, losses=tuple(losses))
