"""Measures the time of a question and of a decision when a search has had a thousand trials.

    python benchmarks/asking.py [--trials 1000] [--out benchmarks/results/DATE-asking.json]

The search is in memory, over a space of six parameters; a third of its trials have ended and all have reached a rung.
Figures are processor seconds of the coordinator, the median of --turns. `ask` is a question to Optuna's study with
`gp`. `decide` is the choice of what goes on with `learned`: first on new data, then with one more value.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.facts import facts  # noqa: E402
from benchmarks.quality_search import _Memory  # noqa: E402
from pld_search.records.study_events import RungReached, StudyCreated, TrialAsked, TrialTold  # noqa: E402
from pld_search.search.learned_stopping import Chooser  # noqa: E402
from pld_search.search.ledger import Ledger  # noqa: E402
from pld_search.search.optuna.optuna_study import OptunaStudy  # noqa: E402
from pld_search.search.sampling import shares_by_step  # noqa: E402
from pld_search.spaces.early_stopping import Learned  # noqa: E402
from pld_search.spaces.study import Budget, Search, Study  # noqa: E402

SPACE = {
    "lr": {"log": [1e-4, 1e-2]},
    "warmup": {"float": [0.0, 0.1]},
    "decay": {"float": [0.0, 0.1]},
    "layers": {"int": [2, 12]},
    "shape": {"choice": {"falling": {"end": {"float": [0.3, 0.9]}}, "rising": {"start": {"float": [0.3, 0.9]}}}},
}


def loss(params: dict[str, Any]) -> float:
    """A smooth valley."""
    floor = params.get("shape.falling.end", params.get("shape.rising.start", 0.0))
    return float((np.log10(params["lr"]) + 3) ** 2 + (floor - 0.6) ** 2 + 0.01 * (params["layers"] - 6) ** 2)


def seconds(turns: int, call: Callable[[], Any]) -> float:
    """Returns the median processor time of a call."""
    found = []
    for _ in range(turns):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return statistics.median(found)


class Filled:
    """A search with `count` trials."""

    def __init__(self, count: int) -> None:
        rule = Learned(kind="learned")
        search = Search(sampler="gp", trials=10 * count, early_stopping=rule)
        self.study = Study(name="asking", experiment=SPACE, budget=Budget(steps=1), search=search)
        self.ledger: Ledger = _Memory()
        self.ledger.write(StudyCreated(id="asking", name="asking", starts=5))
        sampler = OptunaStudy(optuna.create_study(), "random", 0, starts=5)
        for number in range(count):
            asked, _ = sampler.ask(self.study.experiment)
            fields = {"params": asked.params, "distributions": asked.distributions, "seeds": [0], "rungs": [3]}
            self.ledger.write(TrialAsked(number, "sampled", None, "asking", number, **fields))
            self.ledger.write(RungReached(number, 0, 3, 1, [loss(asked.params) + 1]))
            if number % 3 == 0:
                self.end(number)

    def end(self, number: int) -> None:
        """Adds one more value."""
        value = loss(dict(self.ledger.study.trials[number].asked.params))
        self.ledger.write(TrialTold(number, "COMPLETE", [value], {"divergence/diverged": 0.0}))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    filled = Filled(given.trials)
    trials = list(filled.ledger.study.trials.values())
    rule = Learned(kind="learned")
    gp = OptunaStudy(optuna.create_study(study_name="asking"), "gp", 0, starts=5, shares=shares_by_step(rule))
    gp.reconcile([question for trial in trials for question in trial.questions()])
    waiting = [trial.questions()[-1] for trial in trials if trial.waits]
    gp.ask(filled.study.experiment, waiting)  # loads the model's libraries
    chooser = Chooser(filled.ledger, filled.study, rule)
    open_ones = [trial for trial in trials if trial.waits]
    numbers = iter([trial.number for trial in open_ones])

    def decide() -> None:
        filled.end(next(numbers))
        chooser.choose([trial for trial in open_ones if trial.waits], asking=True)

    found = {
        "trials": given.trials,
        "ask": seconds(given.turns, lambda: gp.ask(filled.study.experiment, waiting)),
        "decide_first": seconds(1, decide),
        "decide": seconds(given.turns, decide),
    }
    text = json.dumps({"facts": facts(), **found}, indent=2)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
