"""kill -9 of a run, again and again: at moments nobody chose, while the events grow, or in the middle of writing a
checkpoint.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from tests.training.freezing import freeze, writing


def kill_at_random(
    experiment: Experiment, execution: Execution, out: Path, kills: int, rng: random.Random, **hooks: Any
) -> int:
    """Start the run and kill it, up to `kills` times; how often it was killed. It may end or pause before all
    of them.
    """
    struck = 0
    while struck < kills and not _done(fold_run(out), hooks.get("until")):
        struck += _strike(experiment, execution, out, rng, hooks)
    return struck


def _strike(experiment: Experiment, execution: Execution, out: Path, rng: random.Random, hooks: dict[str, Any]) -> bool:
    """One start; killed once its events have grown by a random number of bytes and a few milliseconds on, or while a
    checkpoint is half written.
    """
    settings = {
        "experiment": experiment.model_dump(mode="json"),
        "execution": execution.model_dump(mode="json"),
        "out": str(out),
        **hooks,
    }
    file, events = out.with_suffix(".json"), out / "events.jsonl"
    file.write_text(json.dumps(settings))
    goal = _size(events) + rng.randint(1, 6_000)
    child = subprocess.Popen([sys.executable, "-m", "tests.training.child", str(file)])
    try:
        while child.poll() is None and _size(events) < goal:
            time.sleep(0.002)
        if rng.random() < 0.5:
            freeze([psutil.Process(child.pid)], lambda: writing(out / "checkpoints"), lambda: child.poll() is None)
        else:
            time.sleep(rng.uniform(0, 0.03))
    finally:
        child.kill()
    return child.wait() == -9


def _done(record: RunRecord, until: int | None) -> bool:
    return record.ended or record.state == "failed" or (record.state == "paused" and record.step == until)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
