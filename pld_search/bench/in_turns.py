"""Times candidates in turns, round by round, so that other load on the machine affects all of them alike."""

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
    """Returns rows in the order of `jobs`, and the candidates. `baselines` names the candidate by whose time each time
    is divided. Before timing, each candidate warms up with one burst.

    Raises BenchError when a process dies.
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
    """Returns the seconds of the untimed steps, which cover compilation, caches and the processor's clock."""
    begun = time.perf_counter()
    candidate.burst(max(burst, 3))
    return time.perf_counter() - begun


def _round(candidates: Sequence[Candidate], burst: int, *, backwards: bool) -> None:
    """Times each candidate once. Every other round runs backwards, so that no candidate is always first."""
    for candidate in reversed(candidates) if backwards else candidates:
        candidate.timed(burst)
