"""Measures how often final values of runs lie in the intervals that `learned` predicted, on a table of known values.

    python benchmarks/quality_calibration.py benchmarks/results/DATE-search-quality.jsonl [--first 0] [--seeds 20] \\
        [--until 14] [--out benchmarks/results/DATE-calibration.jsonl]

Each search uses `gp` and `learned` and ends after `--until` full runs. The first prediction of every trial, made when
its run reached its first rung, is compared with the final value in the table, whether or not the search continued the
run. The report of a real study knows only the final values of runs that continued. OUT gets one line per table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from scipy.stats import norm

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.quality_search import Method, SimulatedSearch, Table, load_table  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.spaces.early_stopping import Learned  # noqa: E402

STARTS, TRIALS = 5, 60
LEVELS = (0.5, 0.8, 0.9, 0.95)
METHOD = Method("gp + learned", "gp", Learned(kind="learned"))


class Guess(NamedTuple):
    """A predicted final value of a run, the standard deviation of the prediction, and the actual final value."""

    mean: float
    sd: float
    end: float


class Predicting(SimulatedSearch):
    """A search that ends when it has cost `until` full runs."""

    def guesses(self, until: float) -> list[Guess]:
        """Returns the first prediction of each trial with a prediction."""
        while self._found.cost < until:
            self._take_stock()
            if not self._go_on():
                break
        return [
            Guess(trial.predicted[0].mean, trial.predicted[0].sd, self._runs[trial.number].loss)
            for trial in self.trials
            if trial.predicted
        ]


def guessed(table: Table, seeds: Sequence[int], until: float) -> list[list[Guess]]:
    """Returns the guesses of one search for each of `seeds`."""
    return [Predicting(table, METHOD, seed, TRIALS, starts=STARTS).guesses(until) for seed in seeds]


def coverage(searches: Sequence[Sequence[Guess]], level: float) -> dict[str, float]:
    """Returns the share of final values inside the normal interval of the given level, with its 95 % interval. The
    bootstrap resamples whole searches, since the predictions of one search are not independent.
    """
    reach = float(norm.ppf(0.5 + level / 2))
    held = np.array([[sum(abs(end - mean) <= reach * sd for mean, sd, end in each), len(each)] for each in searches])
    drawn = np.random.default_rng(0).integers(len(held), size=(2000, len(held)))
    counts = held[drawn].sum(axis=1)
    low, high = np.percentile(counts[:, 0] / counts[:, 1], [2.5, 97.5])
    return {"level": level, "share": held[:, 0].sum() / held[:, 1].sum(), "low": float(low), "high": float(high)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--until", type=float, default=14.0, help="full runs that a search may cost")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searches = guessed(load_table(given.table), range(given.first, given.first + given.seeds), given.until)
    errors = [guess.end - guess.mean for each in searches for guess in each]
    row = {
        "table": given.table.stem,
        "seeds": [given.first, given.first + given.seeds],
        "until": given.until,
        "predictions": len(errors),
        "error": float(np.sqrt(np.mean(np.square(errors)))),
        "coverage": [coverage(searches, level) for level in LEVELS],
    }
    print(json.dumps(row, indent=2))
    if given.out is not None:
        with jsonl.Writer(given.out) as writer:
            writer.write(row)


if __name__ == "__main__":
    main()
