"""Whether two engines do the same: their losses from the same weights on the same batches, without dropout."""

from __future__ import annotations

from collections.abc import Mapping

from pld_search.bench.candidates import Candidate
from pld_search.bench.timed_job import TimedJob


def largest_difference(jobs: Mapping[str, TimedJob], steps: int) -> tuple[float, dict[str, tuple[float, ...]]]:
    """The largest difference of any step's loss between any two of the jobs, in nats; and the losses themselves."""
    losses = {}
    for name, job in jobs.items():
        with Candidate(name, job) as candidate:
            losses[name] = candidate.burst(steps).losses
    apart = max(max(of_step) - min(of_step) for of_step in zip(*losses.values(), strict=True))
    return apart, losses
