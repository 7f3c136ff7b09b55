"""Measures Optuna's own samplers and pruners with their defaults, on a table of known losses.

    python benchmarks/quality_optuna.py benchmarks/results/DATE-search-quality.jsonl [--seeds 20] [--methods TPE] \\
        --out benchmarks/results/DATE-optuna.jsonl

A search asks Optuna alone: `TPESampler`, `GPSampler` (needs torch), and `TPESampler` with `HyperbandPruner`, which sees
the losses of trunks, as a plain loop would report them. A configuration that is asked again costs only the FLOPs beyond
those already computed for it. The two costs are those of `quality_recommended.py`, and a search recommends the
configuration of the least value. Each search adds a line to OUT when it ends, and a restarted command continues after
the last line.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.quality_recommended import GOAL, MOST, TRIALS, Truth  # noqa: E402
from benchmarks.quality_search import Found, Run, Table, load_table  # noqa: E402
from benchmarks.quality_summary import median_of, number  # noqa: E402
from pld_search.frozen import digest_of  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.search.optuna.distributions import distribution_of  # noqa: E402
from pld_search.spaces import domains  # noqa: E402

Make = Callable[[int], tuple[optuna.samplers.BaseSampler, optuna.pruners.BasePruner]]
METHODS: Mapping[str, Make] = {
    "TPE": lambda seed: (optuna.samplers.TPESampler(seed=seed), optuna.pruners.NopPruner()),
    "GP": lambda seed: (optuna.samplers.GPSampler(seed=seed), optuna.pruners.NopPruner()),
    "TPE + Hyperband": lambda seed: (optuna.samplers.TPESampler(seed=seed), optuna.pruners.HyperbandPruner()),
}
END = 100
"""The step of the last report, in percent of a run; trunks report at their shares."""


class PlainSearch:
    """One search by Optuna alone."""

    def __init__(self, table: Table, truth: Truth, method: str, seed: int) -> None:
        self._table, self._truth, self._found = table, truth, Found()
        sampler, self._pruner = METHODS[method](seed)
        self._study = optuna.create_study(study_name=f"quality-{seed}", sampler=sampler, pruner=self._pruner)
        self._computed: dict[str, float] = {}
        self._best: Run | None = None

    def costs(self) -> tuple[float, float]:
        """Returns the costs until a finished run meets the goal by its value, and until the best one does in truth."""
        truly = math.inf
        while self._found.cost < MOST and max(truly, self._found.cost_to(GOAL)) == math.inf:
            if self._found.asked == TRIALS or len(self._computed) == len(self._table):
                break
            self._one()
            if truly == math.inf and self._best is not None and self._truth.regret(self._best) <= GOAL:
                truly = self._found.cost
        return self._found.cost_to(GOAL), truly

    def _one(self) -> None:
        """Asks for one trial, and trains it to its end or until Optuna prunes it."""
        trial, params = self._study.ask(), dict[str, Any]()

        def suggest(name: str, domain: domains.Choice | domains.Number) -> Any:
            params[name] = suggested(trial, name, domain)
            return params[name]

        domains.sample(self._table.tree, suggest)
        self._found.asked += 1
        run = self._table.find(params)
        if not isinstance(self._pruner, optuna.pruners.NopPruner):
            for share, (loss, tflop) in sorted(run.trunk.items()):
                self._train(run, tflop)
                trial.report(loss, round(END * share))
                if trial.should_prune():
                    self._study.tell(trial, state=TrialState.PRUNED)
                    return
            trial.report(run.loss, END)
        self._train(run, run.tflop)
        self._study.tell(trial, run.loss)
        self._found.ended(self._table.regret(run.loss))
        self._best = run if self._best is None or run.loss < self._best.loss else self._best

    def _train(self, run: Run, tflop: float) -> None:
        before = self._computed.get(run.digest, 0.0)
        self._computed[run.digest] = max(before, tflop)
        self._found.spend((self._computed[run.digest] - before) / self._table.full)


def suggested(trial: optuna.Trial, name: str, domain: domains.Choice | domains.Number) -> Any:
    """Returns the trial's value of a domain of choices or of floats."""
    found = distribution_of(domain)
    if isinstance(found, CategoricalDistribution):
        return trial.suggest_categorical(name, found.choices)
    assert isinstance(found, FloatDistribution)
    return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table = load_table(given.table)
    truth, key = Truth(table), digest_of({"losses": table.losses, "trials": TRIALS, "most": MOST})
    known = {(row["method"], row["seed"]): row["costs"] for row in jsonl.read(given.out) if row["of"] == key}
    for method in given.methods:
        for seed in range(given.seeds):
            if (method, seed) not in known:
                costs = PlainSearch(table, truth, method, seed).costs()
                known[method, seed] = [None if math.isinf(cost) else round(cost, 4) for cost in costs]
                with jsonl.Writer(given.out) as writer:
                    writer.write({"of": key, "method": method, "seed": seed, "costs": known[method, seed]})
        for which, title in enumerate(("a finished run meets 5 %", "the best one meets it by the fit")):
            costs = [known[method, seed][which] for seed in range(given.seeds)]
            median = median_of([math.inf if cost is None else cost for cost in costs])
            reached = sum(cost is not None for cost in costs)
            print(f"{method}: {title}: {number(median.value)} full runs, reached by {reached} of {given.seeds}")


if __name__ == "__main__":
    main()
