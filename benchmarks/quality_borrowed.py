"""Measures the gain of `learn_from` and the cost of a misleading study, on a table of known final values.

    python benchmarks/quality_borrowed.py benchmarks/results/DATE-search-quality.jsonl [--seeds 20] [--method gp] \\
        [--half odd] [--kinds alike] --out benchmarks/results/DATE-borrowed.jsonl

The other study is made from the table: 25 configurations at random (of a half, half of it) with their losses, in
another unit and with noise of 0.3 of their deviation (`alike`); or with the reverse order of their losses
(`misleading`), so that the best configuration appears as the worst; or with the losses shuffled (`unrelated`). Each
case is compared with searches without another study, on the same orders, by the cost in full runs until a finished run
has a regret of at most 5 %, and until the recommended configuration has it by the fit. `--half` keeps the learning
rates of even or odd rank; settings are chosen on the even half. Each search adds a line to OUT when it ends, and a
restarted command continues after the last line. A search that costs 40 full runs counts as 40 in means.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import optuna

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.quality_recommended import METHODS, MOST, Half, Recommending, Truth  # noqa: E402
from benchmarks.quality_search import Table, load_table  # noqa: E402
from benchmarks.quality_summary import median_of, ratio_of_means, ratio_of_medians  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.records.study_events import ValuesBorrowed  # noqa: E402
from pld_search.spaces.domains import combinations  # noqa: E402

VALUES, NOISE, UNIT = 25, 0.3, 1.7
WITHOUT, KINDS = "without", ("alike", "misleading", "unrelated")


def other_study(table: Table, kind: str, seed: int) -> ValuesBorrowed | None:
    """Returns the values of another study; None for `without`."""
    if kind == WITHOUT:
        return None
    random, every = np.random.default_rng(seed), list(combinations(table.tree))
    chosen = [every[int(place)] for place in random.permutation(len(every))[: min(VALUES, len(every) // 2)]]
    losses = np.array([table.find(params).loss for params in chosen])
    if kind == "misleading":
        losses = losses.max() + losses.min() - losses
    if kind == "unrelated":
        losses = random.permutation(losses)
    losses = UNIT * (losses + NOISE * losses.std() * random.standard_normal(len(losses))) + 1.0
    rows = [[params, float(loss)] for params, loss in zip(chosen, losses, strict=True)]
    return ValuesBorrowed(studies=[{"name": kind, "id": kind, "values": rows}])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", default="gp", choices=[each.name for each in METHODS])
    parser.add_argument("--half", choices=("even", "odd"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="other studies")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = load_table(given.table)
    table = table if given.half is None else Half(table, given.half == "odd")
    about = {"table": given.table.stem, "half": given.half, "method": given.method}
    kinds = (WITHOUT, *given.kinds)
    known = searched(table, given.out, about, given.seeds, kinds)
    for which, title in enumerate(("a finished run meets 5 %", "the recommended one meets it by the fit")):
        found = {kind: [known[kind, seed][which] for seed in range(given.seeds)] for kind in kinds}
        for kind in given.kinds:
            medians = ratio_of_medians(found[kind], found[WITHOUT])
            means = ratio_of_means(found[kind], found[WITHOUT], MOST)
            both = (median_of(found[each]).value for each in (kind, WITHOUT))
            print("{}: {:10s} {:5.1f} full runs, without {:.1f};".format(title, kind, *both), end=" ")
            print("medians {:.2f} ({:.2f} .. {:.2f}), means {:.2f} ({:.2f} .. {:.2f})".format(*medians, *means))


def searched(
    table: Table, path: Path, about: Mapping[str, str | None], seeds: int, kinds: Sequence[str]
) -> dict[tuple[str, int], tuple[float, float]]:
    """Returns both costs of each search, by kind and seed; keeps results in `path`."""
    truth, method = Truth(table), next(each for each in METHODS if each.name == about["method"])
    known = {
        (row["kind"], row["seed"]): row["costs"]
        for row in jsonl.read(path)
        if all(row.get(name) == value for name, value in about.items())
    }
    for seed in range(seeds):
        for kind in kinds:
            if (kind, seed) not in known:
                costs = Recommending(table, truth, method, seed, other_study(table, kind, seed)).costs()
                known[kind, seed] = [None if math.isinf(cost) else round(cost, 4) for cost in costs]
                with jsonl.Writer(path) as writer:
                    writer.write({**about, "kind": kind, "seed": seed, "costs": known[kind, seed]})
    return {
        key: (math.inf if own is None else own, math.inf if truly is None else truly)
        for key, (own, truly) in known.items()
    }


if __name__ == "__main__":
    main()
