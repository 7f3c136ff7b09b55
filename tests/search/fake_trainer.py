"""A stand-in for `pld-search train`: `fake_trainer.py FOLDER [RANKS] [--until STEP | --branch STEP]`, driven by
`FAKE_*` variables. Takes no gradient.

It obeys the contract of a training process: reads `FOLDER/experiment.yaml`, appends events by `records.RunWriter`,
writes a checkpoint every 10 steps as the last thing of a step, resumes from it, and answers SIGTERM with a checkpoint
and `stopped`. The state is a sum over the steps taken, so a resume that took a step twice or left one out ends at
another train/loss. With `--until` it validates, checkpoints and pauses there; with `--branch` it takes a fifth of the
steps more in a folder of the branch's own, from the run's checkpoint. Before the end a run's loss ranks falsely (by the
largest lr); a branch's does not.

With more than one rank it does as torch's launcher: every rank is a process in a session of its own, rank 0 writes,
SIGTERM is passed on, a rank that is lost ends the others and the whole with exit code 1 and a line that names the
signal.

    FAKE_STEP        seconds a step takes (0)
    FAKE_DIVERGE     runs with a larger lr diverge half way
    FAKE_CRASH       runs with a larger lr raise half way, at every attempt
    FAKE_CRASH_SEEDS only those whose seed index this names, by commas
    FAKE_KILL_ONCE   the first attempt of every run kills itself (SIGKILL) three steps after half way
    FAKE_HANG_ONCE   the first attempt of every run stops itself (SIGSTOP) three steps after half way
    FAKE_WAIT        the first attempt of every run waits three steps after half way until the file that this names
                     exists
    FAKE_MEMORY      runs with a larger lr fail half way for lack of memory, at every attempt
    FAKE_MEND        nothing of the above fails once the file that this names exists
    FAKE_WRONG       exit with code 2 before the first event
    FAKE_DEAF        SIGTERM is ignored
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from pld_search.records.events import (
    CheckpointWritten,
    RunDiverged,
    RunEvaluated,
    RunFailed,
    RunFinished,
    RunPaused,
    RunProgress,
    RunResumed,
    RunStarted,
    RunStopped,
    RunValidated,
)
from pld_search.records.run_record import RunWriter, branch_folder, fold_run

EVERY = 10
stopped = False


def note_signal(*_: object) -> None:
    global stopped
    stopped = True


def limit(name: str) -> float:
    """The learning rate above which something goes wrong; none once the cause was mended."""
    mended = Path(os.environ.get("FAKE_MEND", "/nowhere")).exists()
    return float("inf") if mended else float(os.environ.get(name, "inf"))


def main(folder: Path, until: int | None = None, at: int | None = None) -> int:
    deaf = "FAKE_DEAF" in os.environ
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else note_signal)
    if "FAKE_WRONG" in os.environ:
        sys.stderr.write("this configuration is wrong\n")
        return 2
    experiment = yaml.safe_load((folder / "experiment.yaml").read_text())
    if at is not None:
        return branch(folder, experiment, at)
    record = fold_run(folder)
    if record.ended or (record.state == "paused" and record.step == until):
        return 0
    log = RunWriter(folder / "events.jsonl")
    log.emit(
        RunStarted(
            0,
            experiment=experiment,
            seed=experiment["seed"],
            execution=yaml.safe_load((folder / "execution.yaml").read_text()),
        )
    )
    saved = folder / "checkpoint.json"
    step, state = json.loads(saved.read_text()) if saved.exists() else (0, 0)
    if log.attempt > 1:
        log.emit(RunResumed(step, from_step=step), durable=True)
    try:
        return train(log, saved, experiment, step, state, until or experiment["steps"])
    finally:
        log.close()


def branch(folder: Path, experiment: dict, at: int) -> int:  # type: ignore[type-arg]
    """The branch of a run that paused at step `at`; its checkpoint must be that step's."""
    saved, out = folder / "checkpoint.json", branch_folder(folder, at)
    if fold_run(out).ended:
        return 0
    step, state = json.loads(saved.read_text())
    if step != at:
        sys.stderr.write(f"the checkpoint is of step {step}\n")
        return 1
    out.mkdir(parents=True, exist_ok=True)
    end = at + max(1, at // 5)
    log = RunWriter(out / "events.jsonl")
    log.emit(RunStarted(at, experiment=experiment, seed=experiment["seed"], branch={"of": "", "at": at, "until": end}))
    if log.attempt > 1:
        log.emit(RunResumed(at, from_step=at), durable=True)
    lr = float(experiment["optimizer"]["lr"])
    for each in range(at, end):
        time.sleep(float(os.environ.get("FAKE_STEP", "0")))
        state += each + 1
    log.emit(RunValidated(end, metrics={"valid/loss": loss_of(lr, experiment["seed"]) + 1}))
    log.emit(
        RunFinished(
            end,
            metrics={"train/loss": float(state)},
            timing={"progress/tflop": (end - at) / 10, "progress/seconds": end - at},
        ),
        durable=True,
    )
    log.close()
    return 0


def wait_for(file: Path) -> None:
    while not (file.exists() or stopped):
        time.sleep(0.01)


def checkpoint(log: RunWriter, saved: Path, step: int, state: int) -> None:
    part = saved.with_suffix(".part")
    part.write_text(json.dumps([step, state]))
    part.replace(saved)
    log.emit(CheckpointWritten(step, folder="checkpoint.json"), durable=True)


def train(log: RunWriter, saved: Path, experiment: dict, step: int, state: int, until: int) -> int:  # type: ignore[type-arg]
    lr, total = float(experiment["optimizer"]["lr"]), experiment["steps"]
    half, first = total // 2, log.attempt == 1
    while step < until:
        time.sleep(float(os.environ.get("FAKE_STEP", "0")))
        step, state = step + 1, state + step + 1
        if step == half and lr > limit("FAKE_DIVERGE"):
            log.emit(
                RunDiverged(
                    step, reason="the loss exploded", first_bad_step=step, metrics={"divergence/diverged": 1.0}
                ),
                durable=True,
            )
            return 0
        if step == half and lr > limit("FAKE_MEMORY"):
            log.emit(RunFailed(step, kind="out_of_memory", reason="OutOfMemoryError: CUDA out of memory"), durable=True)
            return 1
        if (
            step == half
            and lr > limit("FAKE_CRASH")
            and str(experiment["seed"]) in os.environ.get("FAKE_CRASH_SEEDS", str(experiment["seed"])).split(",")
        ):
            sys.stderr.write("Traceback (most recent call last):\nValueError: as told\n")
            log.emit(RunFailed(step, kind="crashed", reason="ValueError: as told"), durable=True)
            return 1
        if step == half + 3 and "FAKE_KILL_ONCE" in os.environ and first:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == half + 3 and "FAKE_HANG_ONCE" in os.environ and first:
            os.kill(os.getpid(), signal.SIGSTOP)
        if step == half + 3 and first:
            wait_for(Path(os.environ.get("FAKE_WAIT", "/")))
        if step % (EVERY // 2) == 0 or stopped:
            log.emit(
                RunProgress(
                    step,
                    metrics={"train/loss": float(state), "progress/tokens": step},
                    timing={"progress/seconds": step},
                )
            )
        if step % EVERY == 0 or stopped:
            checkpoint(log, saved, step, state)
        if stopped and step < total:
            log.emit(RunStopped(step, reason="SIGTERM"), durable=True)
            return 143
    if until < total:
        log.emit(RunValidated(step, metrics={"valid/loss": UNDECAYED - lr}))
        if step % EVERY:
            checkpoint(log, saved, step, state)
        log.emit(RunPaused(step, until=until), durable=True)
        return 0
    log.emit(RunValidated(total, metrics={"valid/loss": loss_of(lr, experiment["seed"])}))
    if experiment.get("test") != "unseen":
        log.emit(RunEvaluated(total, metrics={"test/loss": loss_of(lr, experiment["seed"]) + 0.5}))
    log.emit(RunFinished(total, metrics={"saved/flops": 0.25, "train/loss": float(state)}, timing={}), durable=True)
    return 0


def loss_of(lr: float, seed: int) -> float:
    """Best at lr 1e-3; a hundredth more a seed."""
    return 5 + abs(lr - 1e-3) * 1000 + seed / 100


UNDECAYED = 9.0


def launch(ranks: int) -> int:
    """Start `ranks` processes and wait for them, as torch.distributed.run does: they lead sessions, and outlive a
    SIGKILL of this one.
    """
    children = [
        subprocess.Popen([sys.executable, __file__, sys.argv[1], "rank", str(rank)], start_new_session=True)
        for rank in range(ranks)
    ]
    signal.signal(signal.SIGTERM, lambda *_: [child.send_signal(signal.SIGTERM) for child in children] and None)
    while any(child.poll() is None for child in children):
        bad = next((child for child in children if child.poll() not in (None, 0)), None)
        if bad is not None:
            for child in children:
                child.send_signal(signal.SIGTERM)
                child.wait()
            sys.stderr.write(f"  exitcode  : {bad.returncode} (pid: {bad.pid})\n")
            return 1
        if children[0].poll() == 0:
            for child in children[1:]:
                child.kill()  # they have nothing to do but to be there
                child.wait()
            return 0
        time.sleep(0.01)
    return 0


def idle() -> int:
    """A rank above 0: it waits for rank 0, as in a collective."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    while True:
        time.sleep(60)


def role() -> int:
    if "rank" in sys.argv:
        return main(Path(sys.argv[1])) if sys.argv[-1] == "0" else idle()
    part = {word: int(sys.argv[sys.argv.index(word) + 1]) for word in ("--until", "--branch") if word in sys.argv}
    ranks = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 1
    return main(Path(sys.argv[1]), part.get("--until"), part.get("--branch")) if ranks == 1 else launch(ranks)


if __name__ == "__main__":
    sys.exit(role())
