"""Measures the speed and memory of drawing plans, against generators that draw as many gates without guarantees.

    python benchmarks/plans.py [--steps 1000000] [--layers 48] [--repeats 3] [--out benchmarks/results]

Every row runs in a separate process with one thread. Its time is the best of `repeats`; its memory is the peak above
the memory after its imports. The alternatives draw the same number of Bernoulli gates at the same probabilities in
blocks of the same size. One running generator (numpy, torch) needs every earlier draw for step t. One torch generator
seeded for each step can be read at any step, like a plan.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from facts import facts, quiet

from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import schedule_tree

BLOCK = 2048
READS = 20_000
SEQUENCES = 32
MEMORY_GOAL = 100.0
EXACT = {"kind": "exact", "per": "group", "unit": "layer"}


class Row(NamedTuple):
    """One line of the table: `work(steps, layers)` does `share` of the run's steps; `goal` is in `unit`, None for no
    goal.
    """

    name: str
    work: Callable[[int, int], int]
    share: float = 1.0
    goal: float | None = None
    unit: str = "s"


def schedule(**changes: Any) -> Schedule:
    return check(Schedule, schedule_tree({"base": "pld", **changes}))


def whole(plan: Plan) -> int:
    """Reads every gate of a plan in order, one block at a time; returns the number of steps."""
    return sum(len(kept) for _, kept in plan.blocks())


def bernoulli(steps: int, layers: int) -> int:
    return whole(Plan(schedule(), 0, steps, layers))


def exact(steps: int, layers: int) -> int:
    return whole(Plan(schedule(draw=EXACT), 0, steps, layers))


def sublayers(steps: int, layers: int) -> int:
    plan = Plan(schedule(**{"draw.unit": "sublayer"}), 0, steps, layers)
    return sum(len(plan.kept_sublayers(np.arange(at, min(at + BLOCK, steps)))) for at in range(0, steps, BLOCK))


def sequences(steps: int, layers: int) -> int:
    """Streams every gate of every sequence for the digest that ranks compare."""
    plan = Plan(schedule(**{"draw.per": "sequence", "draw.strata": 8}), 0, steps, layers, sequences=SEQUENCES)
    plan.digest()
    return steps


def digest(steps: int, layers: int) -> int:
    Plan(schedule(), 0, steps, layers).digest()
    return steps


def one_by_one(steps: int, layers: int) -> int:
    """Reads the gates of one step after the other, as a training loop does."""
    plan = Plan(schedule(), 0, steps, layers)
    for step in range(READS):
        plan.at(step, 0)
    return READS


def exact_one_by_one(steps: int, layers: int) -> int:
    plan = Plan(schedule(draw=EXACT), 0, steps, layers)
    for step in range(READS):
        plan.at(step, 0)
    return READS


def numpy_running(steps: int, layers: int) -> int:
    random, pld = np.random.Generator(np.random.PCG64(0)), schedule()
    done = 0
    for at in range(0, steps, BLOCK):
        each = np.arange(at, min(at + BLOCK, steps))
        done += len(random.random((len(each), layers)) < pld.keep_probabilities(each, steps, layers))
    return done


def torch_running(steps: int, layers: int) -> int:
    random, pld = torch.Generator().manual_seed(0), schedule()
    done = 0
    for at in range(0, steps, BLOCK):
        each = np.arange(at, min(at + BLOCK, steps))
        p = torch.from_numpy(pld.keep_probabilities(each, steps, layers))
        done += len(torch.rand(p.shape, generator=random, dtype=torch.float64) < p)
    return done


def torch_each_step(steps: int, layers: int) -> int:
    random, pld = torch.Generator(), schedule()
    p = torch.from_numpy(pld.keep_probabilities(np.arange(READS), steps, layers))
    for step in range(READS):
        (torch.rand(layers, generator=random.manual_seed(step), dtype=torch.float64) < p[step]).tolist()
    return READS


ROWS = (
    Row("plan, bernoulli", bernoulli, goal=2.0),
    Row("plan, exact", exact, goal=5.0),
    Row("plan, bernoulli, sublayers", sublayers),
    Row("plan's digest, bernoulli", digest),
    Row(f"plan's digest, {SEQUENCES} sequences a group", sequences, share=0.01),
    Row("numpy generator", numpy_running),
    Row("torch generator", torch_running),
    Row("a step's plan, bernoulli", one_by_one, goal=50.0, unit="us a step"),
    Row("a step's plan, exact", exact_one_by_one, goal=50.0, unit="us a step"),
    Row("torch generator seeded by step", torch_each_step, unit="us a step"),
)
AGAINST = {"s": "numpy generator", "us a step": "torch generator seeded by step"}


def measure(index: int, steps: int, layers: int, repeats: int) -> dict[str, Any]:
    """Measures time and memory of one row in the current process."""
    torch.set_num_threads(1)
    row = ROWS[index]
    steps = max(1, round(steps * row.share))
    before, times, done = _peak(), [], 0
    for _ in range(repeats):
        start = time.perf_counter()
        done = row.work(steps, layers)
        times.append(time.perf_counter() - start)
    scale = 1.0 if row.unit == "s" else 1e6 / done
    found = {
        "name": row.name,
        "steps": done,
        "unit": row.unit,
        "best": min(times) * scale,
        "all": [each * scale for each in times],
    }
    return found | {"goal": row.goal, "memory_mb": _peak() - before, "memory_goal_mb": MEMORY_GOAL}


def _peak() -> float:
    """Returns the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds `ratio`, the time of a step divided by the alternative's of the same unit, and `met`: both goals are met."""
    cost = {row["name"]: row["best"] / (row["steps"] if row["unit"] == "s" else 1) for row in rows}
    return [
        row
        | {
            "against": AGAINST[row["unit"]],
            "ratio": cost[row["name"]] / cost[AGAINST[row["unit"]]],
            "met": (row["goal"] is None or row["best"] <= row["goal"]) and row["memory_mb"] <= MEMORY_GOAL,
        }
        for row in rows
    ]


def table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['steps']:,} steps x {found['layers']} layers; load {found['load'][0]}, "
        f"{'quiet' if found['quiet'] else 'NOT QUIET: measure again'}"
    ]
    lines.append(f"{'':<40}{'steps':>11}{'time':>9} {'':<10}{'goal':>6}{'MB':>8}{'ratio':>8}  met")
    for row in found["rows"]:
        goal = "-" if row["goal"] is None else f"{row['goal']:g}"
        line = (
            f"{row['name']:<40}{row['steps']:>11,}{row['best']:>9.3g} "
            f"{row['unit']:<10}{goal:>6}{row['memory_mb']:>8.1f}{row['ratio']:>8.2f}"
        )
        lines.append(f"{line}  {'yes' if row['met'] else 'NO'}")
    lines.append(
        "ratio: time of a step against " + " and ".join(f"`{name}` ({unit})" for unit, name in AGAINST.items())
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    about = facts()  # read before this benchmark adds load
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        jobs = [(index, asked.steps, asked.layers, asked.repeats) for index in range(len(ROWS))]
        rows = compared(fresh.starmap(measure, jobs, chunksize=1))
    found = {
        **about,
        "steps": asked.steps,
        "layers": asked.layers,
        "quiet": quiet(about["load"][0], about["machine"]["cores"]),
        "rows": rows,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    file = asked.out / f"{about['date'][:10]}-plans.json"
    file.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))
    print(f"written: {file.name}")


if __name__ == "__main__":
    main()
