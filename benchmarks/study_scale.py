"""Measures the cost of a study of thousands of runs: the coordinator a run, and every reader of its files.

    python benchmarks/study_scale.py make FOLDER [--trials 2000] [--seeds 3] [--sampler tpe]
    python benchmarks/study_scale.py read FOLDER [--verbs status best plan report mirror]
    python benchmarks/study_scale.py long FOLDER [--seconds-a-step 0.5]

`make` runs the real coordinator with a launcher that writes the events of a run at once, like the fake trainer of the
tests, and computes no gradient; the processor time of this writing is excluded. `read` starts each verb twice in a
separate process, because the second call uses files that the first one left beside the study. Figures are processor
seconds of a process (`resource.getrusage`), its peak memory, and the sizes of the files it wrote; a busy machine
changes them little.

`long` repeats the events of a finished run in the numbers that a run of a million steps writes by default: 200 training
events, a validation every 10 %, a checkpoint per minute, and the final losses of 512 blocks. FOLDER is the folder of
the finished run.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pld_search.records.events import (  # noqa: E402
    CheckpointWritten,
    HeldOutLosses,
    RunEvaluated,
    RunFinished,
    RunProgress,
    RunStarted,
    RunValidated,
    read_run_events,
)
from pld_search.records.run_record import EVENTS, RunWriter, fold_run  # noqa: E402
from pld_search.records.study_record import fold_study  # noqa: E402
from pld_search.records.trial_record import LaunchRecord  # noqa: E402
from pld_search.specs.yaml_io import load_file, plain  # noqa: E402
from tests.search.fake_trainer import loss_of  # noqa: E402
from tests.search.in_process import Done  # noqa: E402
from tests.search.studies import OPEN_LR, run, small_study  # noqa: E402

STUDY = """
systems:
  full: {{schedule: full, optimizer.lr: 1e-3}}
  pld: {{schedule: pld, optimizer.lr: 1e-3}}
reference: full
seeds: {seeds}
search: {{objective: {{minimize: valid/loss}}, sampler: {sampler}, trials: {trials}, seed: 0}}
"""
VERBS = {
    "status": ["status", "STUDY", "--json"],
    "best": ["best", "STUDY", "--json"],
    "plan": ["plan", "./STUDY.yaml", "--json"],
    "report": ["report", "STUDY", "--json"],
    "mirror": ["mirror", "STUDY"],
}


LONG, LOG_POINTS, SECONDS_BETWEEN_CHECKPOINTS, BLOCKS = 1_000_000, 200, 60, 512


class Instant:
    """A launcher whose runs have ended when `launch` returns; `spent` counts its own processor seconds."""

    name = "local"
    lasting = False

    def __init__(self, points: int) -> None:
        self.spent, self._points, self.begun = 0.0, points, time.process_time()
        self.marks: list[tuple[int, float]] = []
        self._count = 0

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> Done:  # noqa: ARG002 - the launchers' protocol
        """Writes the events of the whole run."""
        before = time.process_time()
        self._count += 1
        if self._count % 250 == 0:
            self.marks.append((self._count, before - self.begun - self.spent))
        write_run(folder, self._points)
        job = Done(0)
        self.spent += time.process_time() - before
        return job

    def adopt(self, launch: object) -> None:
        """Returns None: no run outlives this process."""

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Does nothing: no run survives."""

    def close(self) -> None:
        """Does nothing: no resource is open."""


def write_run(folder: Path, points: int) -> None:
    """Writes the events of a finished run of 40 steps, with `points` points of a few series."""
    experiment = plain(load_file(folder / "experiment.yaml"))
    execution = plain(load_file(folder / "execution.yaml"))
    log, steps = RunWriter(folder / "events.jsonl"), int(experiment["steps"])
    log.emit(RunStarted(0, experiment=experiment, seed=experiment["seed"], execution=execution))
    for number in range(1, points + 1):
        step = max(1, steps * number // points)
        metrics = {"train/loss": 9.0 - number / points, "train/lr": 1e-3, "progress/tokens": float(step)}
        log.emit(RunProgress(step, metrics=metrics, timing={"progress/seconds": float(step)}))
    loss = loss_of(float(experiment["optimizer"]["lr"]), int(experiment["seed"]))
    log.emit(RunValidated(steps, metrics={"valid/loss": loss}))
    log.emit(RunEvaluated(steps, metrics={"test/loss": loss + 0.5}))
    log.emit(RunFinished(steps, metrics={"saved/flops": 0.25}, timing={"progress/tflop": 4.0}), durable=True)
    log.close()


def make(place: Path, trials: int, seeds: int, sampler: str, points: int) -> dict[str, Any]:
    """Makes one study in `place/runs/small`; returns the coordinator's processor time a run, by parts of the study."""
    place.mkdir(parents=True, exist_ok=True)
    study = small_study(place, STUDY.format(trials=trials, seeds=seeds, sampler=sampler), lr=OPEN_LR)
    launcher = Instant(points)
    before = launcher.begun = time.process_time()
    code = run(study, place / "runs" / "small", 2, launcher=launcher, poll=0.0)
    spent = time.process_time() - before - launcher.spent
    marks = [(0, 0.0), *launcher.marks]
    pace = [
        (count, round(1000 * (later - earlier) / (count - begun), 2))
        for (begun, earlier), (count, later) in pairwise(marks)
    ]
    runs = sum(len(trial.seeds) for trial in fold_study(place / "runs" / "small").trials.values())
    return {
        "exit_code": code,
        "trials": trials,
        "runs": runs,
        "sampler": sampler,
        "cpu_seconds": round(spent, 2),
        "ms_per_run": round(1000 * spent / max(1, runs), 2),
        "ms_per_run_by_run": pace,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def read(place: Path, verbs: Sequence[str]) -> dict[str, Any]:
    """Runs each verb twice in a separate process."""
    found: dict[str, Any] = {}
    for verb in verbs:
        words = [word.replace("STUDY", "small") for word in VERBS[verb]]
        found[verb] = [timed(place, words) for _ in range(2)]
    folder = place / "runs" / "small"
    found["bytes"] = {
        path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".lock"
    }
    return found


def timed(place: Path, words: Sequence[str]) -> dict[str, float]:
    """Returns processor seconds, wall-clock seconds and peak memory of `pld-search WORDS`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    begun = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "pld_search", *words],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    said = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.stderr.write(said[-2000:])
    return {
        "exit_code": child.returncode,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "wall_seconds": round(time.monotonic() - begun, 2),
        "peak_mib": used.ru_maxrss // 1024,
    }


def long(finished: Path, seconds_a_step: float) -> dict[str, Any]:
    """Returns the bytes of the events of a run of a million steps, and the processor seconds to read and fold them."""
    kinds: dict[type, Any] = {type(event): event for event in read_run_events(finished / EVENTS)}
    checkpoints = int(LONG * seconds_a_step / SECONDS_BETWEEN_CHECKPOINTS)
    timeline: list[tuple[int, Any]] = [
        *((step, kinds[RunProgress]) for step in range(0, LONG, LONG // LOG_POINTS)),
        *((step, kinds[RunValidated]) for step in range(0, LONG, LONG // 10)),
        *((LONG * number // checkpoints, kinds[CheckpointWritten]) for number in range(checkpoints)),
    ]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        log = RunWriter(folder / EVENTS)
        log.emit(kinds[RunStarted])
        for step, event in sorted(timeline, key=lambda each: each[0]):
            log.emit(replace(event, step=step + 1))
        block = base64.b64encode(bytes(4 * BLOCKS)).decode()
        for split in ("validation", "test"):
            log.emit(replace(kinds[HeldOutLosses], step=LONG, split=split, sums=block, counts=block))
        for kind in (RunEvaluated, RunFinished):
            log.emit(replace(kinds[kind], step=LONG))
        log.close()
        begun = time.process_time()
        record = fold_run(folder)
        spent = time.process_time() - begun
        size = (folder / EVENTS).stat().st_size
    assert record.state == "finished"
    return {"events": len(timeline) + 5, "bytes": size, "fold_cpu_seconds": round(spent, 3)}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["make", "read", "long"])
    parser.add_argument("place", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--verbs", nargs="+", default=list(VERBS), choices=list(VERBS))
    parser.add_argument("--seconds-a-step", type=float, default=0.5)
    given = parser.parse_args()
    if given.what == "long":
        found = long(given.place, given.seconds_a_step)
    elif given.what == "make":
        found = make(given.place, given.trials, given.seeds, given.sampler, given.points)
    else:
        found = read(given.place, given.verbs)
    print(json.dumps({**found, "load": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
