"""A search as a large study leaves it, written by hand: 40 sampled trials over two conditional branches, one of which
diverged, beside eight systems with long names, among them rows of another depth and one whose seeds did not all end.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from tests.report.studies import FULL, Folder, equal_steps, experiment, schedule

REFERENCE = "full depth, twelve seeds of the old recipe"
SYSTEMS = (
    REFERENCE,
    "progressive layer dropping by the paper's equations",
    "random (same compute as PLD)",
    "temporal schedule only",
    "depth schedule only",
    "shallow, four layers",
    "LayerDrop 0.2",
    "rate that was too high",
)
ABOUT = "What people look at: many rows, long names, branches that exclude each other"
WAIVED = {"tuning": "one rate suits all rows at this size (study rates-2026-09)"}


def searched(path: Path, trials: int = 40) -> Path:
    """The study's folder; every number comes from one seeded generator."""
    numbers = random.Random(7)
    study = Folder(
        path,
        about=ABOUT,
        systems=list(SYSTEMS),
        reference=REFERENCE,
        search={"objective": {"minimize": "valid/loss"}, "trials": trials, "sampler": "tpe"},
        decide={"margin": "0.01 nats"},
        waive=WAIVED,
    )
    _systems(study, numbers)
    for number in range(trials):
        _trial(study, numbers, diverges=number == 11, above=number == 17)
    return study.complete()


def _systems(study: Folder, numbers: random.Random) -> None:
    drops = (
        FULL,
        schedule("pld", 0.5),
        schedule("random", 0.73, "constant", "uniform"),
        schedule("td-only", 0.6, depth="uniform"),
        schedule("dd-only", 0.6, "constant"),
        FULL,
        schedule("layerdrop", 0.8, "constant", "uniform"),
        schedule("pld", 0.5),
    )
    losses = (5.440, 5.392, 5.441, 5.436, 5.418, 5.310, 5.455, 5.4)
    seeds = [numbers.gauss(0.0, 0.012) for _ in range(3)]
    for name, drop, loss in zip(SYSTEMS, drops, losses, strict=True):
        what = (
            experiment(drop) if name == REFERENCE else equal_steps(experiment(drop, layers=4 if "four" in name else 6))
        )
        trial = study.ask(what, name, seeds=(0, 1, 2))
        for seed, shared in enumerate(seeds):
            scores = _scores(numbers, loss)
            end = "diverged" if name == SYSTEMS[-1] and seed == 1 else "finished"
            study.run(trial, what, loss + shared + numbers.gauss(0, 0.003), seed, end=end, **scores)


def _scores(numbers: random.Random, loss: float) -> dict[str, float]:
    period, sentence = (round(0.7 + (5.44 - loss) / 2 + numbers.gauss(0, 0.01), 4) for _ in range(2))
    return {
        "demo__period__accuracy": period,
        "demo__older__mcc": sentence - 0.3,
        "demo__average": (period + sentence - 0.3) / 2,
    }


def _trial(study: Folder, numbers: random.Random, diverges: bool, above: bool) -> None:
    rate, branch = 10 ** numbers.uniform(-4, -2), numbers.choice(("falling", "rising"))
    end = numbers.uniform(0.3, 0.9)
    params: dict[str, Any] = {"optimizer.lr": rate, "schedule": branch}
    spaces: dict[str, Any] = {"optimizer.lr": _float(1e-4, 1e-2, log=True), "schedule": _choice("falling", "rising")}
    key = "schedule.falling.temporal.end" if branch == "falling" else "schedule.rising.temporal.start"
    params[key], spaces[key] = end, _float(0.3, 0.9)
    if branch == "falling":
        speed = 10 ** numbers.uniform(1, 3)
        params["schedule.falling.temporal.rate"] = speed
        spaces["schedule.falling.temporal.rate"] = _float(10, 1000, log=True)
    what = equal_steps(experiment(schedule("pld (changed)", end)))
    what = what.model_copy(update={"optimizer": what.optimizer.model_copy(update={"lr": rate})})
    loss = 5.38 + 0.06 * (math.log10(rate) + 2.6) ** 2 + 0.15 * abs(end - 0.55) + numbers.gauss(0, 0.012)
    loss = 6.04 if above else loss
    trial = study.ask(what, None, params=params, distributions=spaces, sampler_study=study.path.name)
    study.run(trial, what, loss, end="diverged" if diverges else "finished", **_scores(numbers, loss))
    if diverges:
        study.tell(trial, math.log(1024), constraints=[1.0])
    else:
        study.tell(trial, loss)


def _float(low: float, high: float, log: bool = False) -> dict[str, Any]:
    return {"name": "FloatDistribution", "attributes": {"step": None, "low": low, "high": high, "log": log}}


def _choice(*options: str) -> dict[str, Any]:
    return {"name": "CategoricalDistribution", "attributes": {"choices": list(options)}}
