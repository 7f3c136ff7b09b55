"""Runs on several ranks as users start them: `pld-search train --ranks K ...`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.spec_files import write_execution, write_experiment

ROOT = Path(__file__).parent.parent.parent


def written(folder: Path, experiment: Experiment, execution: Execution) -> list[str]:
    """The words of `train` for a run whose files are put into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_experiment(folder / "experiment.yaml", experiment)
    write_execution(folder / "execution.yaml", execution)
    return ["train", str(folder / "experiment.yaml"), "--out", str(folder)]


def on_ranks(ranks: int, module: str, *words: str) -> list[str]:
    """The command that runs a module on so many ranks."""
    return [sys.executable, "-m", "tests.training.rank_launch", str(ranks), module, *words]


def started(command: list[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
    """The process, in a group of its own; everything it prints goes to `log`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT, process_group=0)


def code_of(command: list[str], log: Path, timeout: float = 540) -> int:
    """How it ended; where it has not in time, it and what it has started are ended."""
    process = started(command, log)
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            process.kill()  # its ranks end with it
            process.wait(timeout=60)


def launched(folder: Path, ranks: int, experiment: Experiment, execution: Execution) -> list[str]:
    """The command that starts a run of so many ranks by `--ranks`."""
    return [sys.executable, "-m", "pld_search", *written(folder, experiment, execution), "--ranks", str(ranks)]


def settings(**changes: Any) -> dict[str, Any]:
    """A model of 6 layers x 32, small enough that a step is mostly overhead."""
    return {
        "model": {"layers": 6, "hidden": 32, "heads": 2, "intermediate": 64, "dropout": 0.0, "attention_dropout": 0.0},
        **changes,
    }
