"""Candidates timed in turns, round by round, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from pld_search.bench.candidates import Candidate
from pld_search.bench.figures import FigureRow, row
from pld_search.bench.timed_job import TimedJob

Tell = Callable[[str], None]


def compare(
    jobs: Mapping[str, TimedJob], baselines: Mapping[str, str], *, rounds: int, burst: int, tokens: int, tell: Tell
) -> tuple[list[FigureRow], list[Candidate]]:
    """Rows in the order of `jobs`; `baselines` says whose time each is divided by. Before timing, each warms up with
    one burst.

    Raises BenchError where a process dies.
    """
    with ExitStack() as stack:
        candidates = {name: stack.enter_context(Candidate(name, job)) for name, job in jobs.items()}
        warm_ups = {}
        for name, candidate in candidates.items():
            tell(f"warming up {name}")
            warm_ups[name] = _warm_up(candidate, burst)
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            _round(list(candidates.values()), burst, backwards=bool(number % 2))
        for candidate in candidates.values():
            candidate.end()
        rows = [
            row(one, candidates[baselines[name]] if name in baselines else None, warm_ups[name], tokens)
            for name, one in candidates.items()
        ]
        return rows, list(candidates.values())


def _warm_up(candidate: Candidate, burst: int) -> float:
    """Seconds from its first step to its last untimed one: compilation, caches, and clocks of the processor."""
    begun = time.perf_counter()
    candidate.burst(max(burst, 3))
    return time.perf_counter() - begun


def _round(candidates: Sequence[Candidate], burst: int, *, backwards: bool) -> None:
    """Every other round goes backwards: none is always the first after another."""
    for candidate in reversed(candidates) if backwards else candidates:
        candidate.timed(burst)
