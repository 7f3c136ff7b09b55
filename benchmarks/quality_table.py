"""Makes a table of real runs to simulate searches on: every configuration of `search_quality.yaml`, trained once.

    nice -n 15 python benchmarks/quality_table.py --out benchmarks/results/DATE-search-quality.jsonl [--seeds 2]

Each run is the project's own: `train` up to a rung, `branch` there, `train` on from the run's own checkpoint, as the
coordinator does by `train --until` and `train --branch`. One line is appended for each ended run; a restart continues
after the last. The first line states space, versions and machine. The runs use one thread; losses do not depend on the
machine's load, and no times are kept.

With `--seeds n` the best configuration runs again with n further seeds, to measure the seed's share of a difference.
With `--every-seed n` every configuration has n seeds, with branches on the first seed only: such a table can decide.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.facts import facts  # noqa: E402
from pld_search.app.machine_setup import machine_of, study_sets  # noqa: E402
from pld_search.app.prepare_study import prepare_study  # noqa: E402
from pld_search.costs.rung_steps import rung_steps  # noqa: E402
from pld_search.errors import ConfigError  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.records.run_record import RunRecord  # noqa: E402
from pld_search.spaces.domains import close, combinations  # noqa: E402
from pld_search.spaces.load_study import load_study  # noqa: E402
from pld_search.spaces.resolve import Resolver  # noqa: E402
from pld_search.spaces.study import Study  # noqa: E402
from pld_search.specs.execution import Execution  # noqa: E402
from pld_search.specs.experiment import Experiment  # noqa: E402
from pld_search.specs.machine import Machine  # noqa: E402
from pld_search.training.branch import branch  # noqa: E402
from pld_search.training.train_run import train  # noqa: E402

SPACE = Path(__file__).with_name("search_quality.yaml")
SHARES = tuple(Decimal(share) / 100 for share in (5, 10, 20, 30, 40))
"""Rungs at shares of a run's expected FLOPs: the rungs of promotion with min 5 % or 10 % and eta 2, 3 or 4."""


def measured(
    experiment: Experiment, execution: Execution, folder: Path, shares: Sequence[Decimal] = SHARES
) -> dict[str, Any]:
    """Trains one run to its end with a branch at every rung; returns losses and executed TFLOP (the trunk's so far, a
    branch's own).
    """
    rungs = []
    for share, step in zip(shares, rung_steps(experiment, shares), strict=True):
        trunk = train(experiment, execution, folder, until=step)
        if trunk.state == "diverged":
            break
        decayed = branch(experiment, execution, folder, step)
        rungs.append({"share": float(share), "step": step, **_seen("trunk", trunk), **_seen("branch", decayed)})
    whole = train(experiment, execution, folder)
    return {
        "state": whole.state,
        "steps": experiment.steps,
        "loss": _loss(whole),
        "tflop": whole.final["progress/tflop"],
        "rungs": rungs,
    }


def _seen(name: str, record: RunRecord) -> dict[str, Any]:
    return {f"{name}_loss": _loss(record), f"{name}_tflop": record.final["progress/tflop"]}


def _loss(record: RunRecord) -> float | None:
    """Returns the validation loss at the end of the executed part; None for a diverged run."""
    return record.final["valid/loss"] if record.state in ("paused", "finished") else None


def space_of(study: Study) -> dict[str, Any]:
    """Returns the parts of the study on which a configuration's result depends, besides its parameters."""
    return {
        name: part for name, part in study.definition().items() if name in ("name", "experiment", "budget", "reference")
    }


class Table:
    """The file: a first line about the whole table, then one line for each run."""

    def __init__(self, path: Path) -> None:
        self._path, self.rows = path, [row for row in jsonl.read(path) if "digest" in row]

    def begin(self, about: dict[str, Any]) -> None:
        """Writes the first line. Raises ConfigError when the file holds another space or corpus."""
        known = jsonl.read(self._path)[:1]
        if not known:
            self._write({"about": about})
        elif any(known[0]["about"][key] != about[key] for key in ("space", "corpus")):
            raise ConfigError(f"{self._path} holds runs of another space or corpus")

    def holds(self, experiment: Experiment) -> bool:
        return any((row["digest"], row["seed"]) == (experiment.digest, experiment.seed) for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        self._write(row)
        self.rows.append(row)

    def best(self) -> dict[str, Any]:
        """Returns the row of the first seed with the least loss."""
        return min(
            (row for row in self.rows if row["seed"] == 0 and row["loss"] is not None),
            key=lambda row: float(row["loss"]),
        )

    def _write(self, row: dict[str, Any]) -> None:
        writer = jsonl.Writer(self._path)
        writer.write(row, durable=True)
        writer.close()


class Runs:
    """Experiments of the space, and their runs."""

    def __init__(
        self,
        study: Study,
        machine: Machine,
        table: Table,
        shares: Sequence[Decimal] = SHARES,
        *,
        first_only: bool = False,
    ) -> None:
        self._shares, self._first_only = shares, first_only
        prepared = prepare_study(study, machine)
        self._tree, self._resolver, self._table = study.tree_of(None), Resolver(study, prepared), table
        self._execution = Execution(
            threads=1,
            speed_probes=0,
            log_points=20,
            checkpoint_seconds=1e6,
            keep_checkpoints=1,
            folders=prepared.folders,
        )
        corpus = {
            "digest": prepared.corpus.corpus,
            "unigram_entropy": prepared.corpus.statistics["unigram_entropy"],
            "vocabulary": prepared.corpus.vocabulary,
        }
        table.begin(
            {"space": space_of(study), "corpus": corpus, "shares": [float(share) for share in shares], "facts": facts()}
        )

    def pending(self, seed: int) -> Iterator[tuple[dict[str, Any], Experiment]]:
        for params in combinations(self._tree):
            experiment = self._resolver.experiment(close(self._tree, params), seed)
            if not self._table.holds(experiment):
                yield params, experiment

    def _shares_of(self, experiment: Experiment) -> Sequence[Decimal]:
        return () if experiment.seed and self._first_only else self._shares

    def of(self, params: dict[str, Any], seed: int) -> Experiment:
        return self._resolver.experiment(close(self._tree, params), seed)

    def run(self, params: dict[str, Any], experiment: Experiment) -> None:
        with tempfile.TemporaryDirectory(prefix="quality-") as folder:
            found = measured(experiment, self._execution, Path(folder), self._shares_of(experiment))
        self._table.add({"params": params, "digest": experiment.digest, "seed": experiment.seed, **found})
        print(
            f"{len(self._table.rows):3d}  {found['state']}  {found['loss'] or 'no loss'}  {json.dumps(params)}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", type=Path, default=SPACE, help="a study whose domains are finite")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a change of the study, or machine.KEY=VALUE"
    )
    parser.add_argument("--seeds", type=int, default=0, help="further seeds of the best configuration")
    parser.add_argument("--every-seed", type=int, default=1, help="seeds of every configuration")
    parser.add_argument("--shares", type=int, nargs="+", help="rungs, in percent of a run's FLOPs")
    parser.add_argument("--most", type=int, help="stop after so many runs")
    given = parser.parse_args(arguments)
    table = Table(given.out)
    shares = tuple(Decimal(share) / 100 for share in given.shares) if given.shares else SHARES
    runs = Runs(
        load_study(given.space, study_sets(given.set)),
        machine_of(None, given.set),
        table,
        shares,
        first_only=given.every_seed > 1,
    )
    every = (each for seed in range(given.every_seed) for each in runs.pending(seed))
    for count, (params, experiment) in enumerate(every):
        if count == given.most:
            return
        runs.run(params, experiment)
    for seed in range(1, given.seeds + 1):
        params = table.best()["params"]
        again = runs.of(params, seed)
        if not table.holds(again):
            runs.run(params, again)


if __name__ == "__main__":
    main()
