"""Measures the cost of searches until their recommendation is truly good: `learned` against promotion, a process
without stops, and random search.

    python benchmarks/quality_recommended.py benchmarks/results/DATE-search-quality.jsonl [--seeds 40] [--half odd] \\
        [--slots 4] [--methods random "TPE + promotion" "gp + learned"] --out benchmarks/results/DATE-recommended

`quality_table.py` writes the table. It has one seed a configuration, so the truth is unknown: a smooth fit to all ends
stands for it (the mean of the search's own process over the whole table). Two costs are counted in full runs, branches
included: until a finished run has a regret of at most 5 % by its own value (as in `search_quality.py`), and until the
recommended configuration has such a regret by the truth. A search with a process recommends by its mean, the others by
the least value. A search ends when both are reached, or when it has cost MOST full runs.

`--half even` keeps the learning rates of even rank, `--half odd` the others: defaults were chosen on the even half.
Each search is written to OUT.jsonl as it ends, so the same command continues an interrupted one; OUT.md and OUT.png are
written at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.quality_search import Method, Run, SimulatedSearch, Table, key_of, load_table  # noqa: E402
from benchmarks.quality_summary import median_of, number, ratio_of_medians, text_table  # noqa: E402
from pld_search.frozen import digest_of  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.records.study_events import ValuesBorrowed  # noqa: E402
from pld_search.search.gaussian_process import GaussianProcess  # noqa: E402
from pld_search.search.observations import LEAST, observations, observed  # noqa: E402
from pld_search.search.observed_runs import Observed  # noqa: E402
from pld_search.spaces.domains import combinations  # noqa: E402
from pld_search.spaces.early_stopping import Branching, Learned, Promotion  # noqa: E402
from pld_search.spaces.flat_space import FlatSpace  # noqa: E402

GOAL, TRIALS, MOST, STARTS = 0.05, 60, 40.0, 5
METHODS = (
    Method("random", "random"),
    Method("TPE + promotion", "tpe", Promotion(kind="promotion")),
    Method("gp", "gp"),
    Method("gp + promotion", "gp", Promotion(kind="promotion")),
    Method("gp + learned", "gp", Learned(kind="learned")),
    Method("gp + learned, 10 %", "gp", Learned(kind="learned", min=0.1)),
)
LOOKS = (0.1, 0.2, 0.3)


class Half(Table):
    """The configurations whose learning rate has an even, or an odd, rank in the table."""

    def __init__(self, table: Table, odd: bool) -> None:
        rates = sorted({params["optimizer.lr"] for params in combinations(table.tree)})
        kept = {key_of(each) for each in combinations(table.tree) if rates.index(each["optimizer.lr"]) % 2 == odd}
        super().__init__(
            _with_rates(table.tree, rates[odd::2]), {key: table.find(_params(key)) for key in sorted(kept)}
        )


def _params(key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(key)
    return found


def _with_rates(tree: Any, rates: Sequence[float]) -> Any:
    return {**tree, "optimizer": {**tree["optimizer"], "lr": {"choice": list(rates)}}}


class Truth:
    """The regret of each configuration by a smooth fit to all ends."""

    def __init__(self, table: Table) -> None:
        space, params = FlatSpace(table.tree), list(combinations(table.tree))
        points = space.encoded(params)
        losses = np.array([table.find(each).loss for each in params])
        mean = GaussianProcess(Observed.ends(points, losses), space.columns).predict(points)[0]
        regrets = (mean - mean.min()) / (np.median(mean) - mean.min())
        self._regrets = {table.find(each).digest: float(regret) for each, regret in zip(params, regrets, strict=True)}

    def regret(self, run: Run) -> float:
        """Returns 0 for the best configuration and 1 for a median one."""
        return self._regrets[run.digest]

    @property
    def good(self) -> int:
        """The number of configurations that meet the goal."""
        return sum(regret <= GOAL for regret in self._regrets.values())


class Recommending(SimulatedSearch):
    """A search that makes a recommendation after each end."""

    def __init__(
        self,
        table: Table,
        truth: Truth,
        method: Method,
        seed: int,
        borrowed: ValuesBorrowed | None = None,
        slots: int = 1,
    ) -> None:
        super().__init__(table, method, seed, TRIALS, starts=STARTS, borrowed=borrowed, slots=slots)
        self._truth, self._method, self._space = truth, method, FlatSpace(table.tree)

    def costs(self) -> tuple[float, float]:
        """Returns the costs until a finished run meets the goal by its value, and until the recommended one does in
        truth.
        """
        truly, ends = math.inf, 0
        while self._found.cost < MOST and max(truly, self._found.cost_to(GOAL)) == math.inf:
            self._take_stock()
            if self._found.finished > ends:
                ends = self._found.finished
                if truly == math.inf and self._truth.regret(self._recommended()) <= GOAL:
                    truly = self._found.cost
            if not self._go_on():
                break
        return self._found.cost_to(GOAL), truly

    def _recommended(self) -> Run:
        ended = [trial for trial in self.trials if trial.complete]
        rule = self._method.rule
        shares = [float(share) for share in rule.shares] if isinstance(rule, Branching) else []
        rows = observations(self._ledger, self._study, self._space, shares)
        if self._method.sampler != "gp" or sum(row.share == 1.0 for row in rows) < LEAST:
            return min((self._runs[trial.number] for trial in ended), key=lambda run: run.loss)
        model = GaussianProcess(observed(self._ledger, self._study, self._space, rows), self._space.columns)
        means = model.predict(self._space.encoded([trial.asked.params for trial in ended]))[0]
        return self._runs[ended[int(np.argmin(means))].number]


def known_ends(table: Table, share: float, seed: int) -> float:
    """Returns the bound: configurations come in a random order, each end is known at a share of its run, and the good
    configuration runs to its end.
    """
    order = np.random.default_rng(seed).permutation(len(table))
    runs = sorted(table.runs, key=lambda run: run.digest)
    spent = 0.0
    for place in order:
        run = runs[int(place)]
        spent += (run.trunk[share][1] + run.branch[share][1]) / table.full
        if table.regret(run.loss) <= GOAL:
            return spent + (run.tflop - run.trunk[share][1]) / table.full
    return math.inf


def searched(
    table: Table, path: Path, seeds: int, methods: Sequence[Method] = METHODS, slots: int = 1
) -> dict[str, list[tuple[float, float]]]:
    """Returns (cost by the run's value, cost by the truth) of each search, by method; keeps results in `path`."""
    terms = {"losses": table.losses, "trials": TRIALS, "most": MOST, **({"slots": slots} if slots > 1 else {})}
    key, truth = digest_of(terms), Truth(table)
    known = {(row["method"], row["seed"]): row["costs"] for row in jsonl.read(path) if row["of"] == key}
    for seed in range(seeds):
        for method in methods:
            if (method.name, seed) not in known:
                costs = Recommending(table, truth, method, seed, slots=slots).costs()
                known[method.name, seed] = [None if math.isinf(cost) else round(cost, 4) for cost in costs]
                with jsonl.Writer(path) as writer:
                    writer.write({"of": key, "method": method.name, "seed": seed, "costs": known[method.name, seed]})
    return {
        method.name: [
            tuple(math.inf if cost is None else cost for cost in known[method.name, seed])  # type: ignore[misc]
            for seed in range(seeds)
        ]
        for method in methods
    }


def text_of(table: Table, found: Mapping[str, Sequence[tuple[float, float]]], about: str) -> str:
    """Returns medians and ratios of medians on the same seeds, with 95 % bootstrap intervals."""
    seeds = len(next(iter(found.values())))
    random, promotion = found["random"], found["TPE + promotion"]
    parts = [f"# {about}: {len(table)} configurations, {seeds} searches a method"]
    parts.append(
        f"By a run's own value {sum(table.regret(loss) <= GOAL for loss in table.losses)} meet the goal, by "
        f"the fit {Truth(table).good}."
    )
    for which, title in enumerate(
        ("a finished run meets the goal by its own value", "the recommended configuration meets it by the fit")
    ):
        rows = []
        for name, costs in found.items():
            own = [each[which] for each in costs]
            against = [ratio_of_medians(own, [each[which] for each in other]) for other in (random, promotion)]
            rows.append(
                {
                    "method": name,
                    "median": number(median_of(own).value),
                    "random": _ratio(against[0]),
                    "promotion": _ratio(against[1]),
                    "reached": f"{sum(math.isfinite(cost) for cost in own)} of {seeds}",
                }
            )
        headings = ("method", "full runs", "to random", "to TPE + promotion", "reached")
        parts += [f"Cost until {title}:", text_table(rows, list(zip(rows[0], headings, strict=True)))]
    bounds = [float(np.median([known_ends(table, share, seed) for seed in range(400)])) for share in LOOKS]
    middle = median_of([each[0] for each in random]).value
    parts.append(
        "Bound, ends known at a share of the run, random order: "
        + ", ".join(
            f"{100 * share:g} % {bound:.1f} ({bound / middle:.2f} of random)"
            for share, bound in zip(LOOKS, bounds, strict=True)
        )
    )
    return "\n\n".join(parts) + "\n"


def picture(out: Path, found: Mapping[str, Sequence[tuple[float, float]]], about: str) -> None:
    """Draws the share of searches that have reached each goal, by cost."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = ("a finished run meets the goal", "the recommended one meets it by the fit")
    for which, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for name, costs in found.items():
            reached = sorted(each[which] for each in costs if math.isfinite(each[which]))
            shares = [100 * (place + 1) / len(costs) for place in range(len(reached))]
            style = {"color": "#8a8f98"} if name == "random" else {}
            axis.step([0, *reached, MOST], [0, *shares, shares[-1] if shares else 0], where="post", label=name, **style)
        axis.set(title=title, xlabel="cost, full runs", xlim=(0, MOST), ylim=(0, 101))
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("searches, %")
    axes[1].legend(loc="lower right", frameon=False)
    figure.suptitle(about)
    figure.savefig(out.with_suffix(".png"), dpi=110)


def _ratio(found: tuple[float, float, float]) -> str:
    return f"{number(found[0], 2)} ({number(found[1], 2)} .. {number(found[2], 2)})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--half", choices=("even", "odd"))
    parser.add_argument("--slots", type=int, default=1, help="parts of runs at a time")
    names = [method.name for method in METHODS]
    parser.add_argument("--methods", nargs="+", choices=names, default=names, help="with the two that others relate to")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = load_table(given.table)
    table = table if given.half is None else Half(table, given.half == "odd")
    methods = [method for method in METHODS if method.name in {"random", "TPE + promotion", *given.methods}]
    found = searched(table, given.out.with_suffix(".jsonl"), given.seeds, methods, given.slots)
    about = given.table.stem + ("" if given.half is None else f", rates of {given.half} rank")
    about += f", {given.slots} slots" if given.slots > 1 else ""
    text = text_of(table, found, about)
    given.out.with_suffix(".md").write_text(text)
    picture(given.out, found, about)
    print(text)


if __name__ == "__main__":
    main()
