"""A stand-in for `pld-search train`: `fake_trainer.py FOLDER [RANKS]`, driven by `FAKE_*` variables. Takes no gradient.

It obeys the contract of a training process: reads `FOLDER/experiment.yaml`, appends events by `records.RunWriter`, writes a
checkpoint every 10 steps as the last thing of a step, resumes from it, and answers SIGTERM with a checkpoint and `stopped`.
The state is a sum over the steps taken, so a resume that took a step twice or left one out ends at another train/loss.

With more than one rank it does as torch's launcher: every rank is a process in a session of its own, rank 0 writes, SIGTERM
is passed on, a rank that is lost ends the others and the whole with exit code 1 and a line that names the signal.

    FAKE_STEP        seconds a step takes (0)
    FAKE_DIVERGE     runs with a larger lr diverge half way
    FAKE_CRASH       runs with a larger lr raise half way, at every attempt
    FAKE_KILL_ONCE   the first attempt of every run kills itself (SIGKILL) three steps after half way
    FAKE_HANG_ONCE   the first attempt of every run stops itself (SIGSTOP) three steps after half way
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

from pld_search.records.run import RunWriter, fold_run

EVERY = 10
stopped = False


def note_signal(*_: object) -> None:
    global stopped
    stopped = True


def limit(name: str) -> float:
    """The learning rate above which something goes wrong; none once the cause was mended."""
    mended = Path(os.environ.get("FAKE_MEND", "/nowhere")).exists()
    return float("inf") if mended else float(os.environ.get(name, "inf"))


def main(folder: Path) -> int:
    deaf = "FAKE_DEAF" in os.environ
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else note_signal)
    if "FAKE_WRONG" in os.environ:
        sys.stderr.write("this configuration is wrong\n")
        return 2
    experiment = yaml.safe_load((folder / "experiment.yaml").read_text())
    if fold_run(folder).ended:
        return 0
    log = RunWriter(folder / "events.jsonl")
    log.emit("started", 0, experiment=experiment, seed=experiment["seed"], execution=yaml.safe_load((folder / "execution.yaml").read_text()))
    saved = folder / "checkpoint.json"
    step, state = json.loads(saved.read_text()) if saved.exists() else (0, 0)
    if log.attempt > 1:
        log.emit("resumed", step, from_step=step, durable=True)
    return train(log, saved, experiment, step, state)


def checkpoint(log: RunWriter, saved: Path, step: int, state: int) -> None:
    part = saved.with_suffix(".part")
    part.write_text(json.dumps([step, state]))
    part.replace(saved)
    log.emit("checkpoint", step, folder="checkpoint.json", durable=True)


def train(log: RunWriter, saved: Path, experiment: dict, step: int, state: int) -> int:  # type: ignore[type-arg]
    lr, total = float(experiment["optimizer"]["lr"]), experiment["steps"]
    half, first = total // 2, log.attempt == 1
    while step < total:
        time.sleep(float(os.environ.get("FAKE_STEP", "0")))
        step, state = step + 1, state + step + 1
        if step == half and lr > limit("FAKE_DIVERGE"):
            log.emit("diverged", step, reason="the loss exploded", first_bad_step=step, metrics={"divergence/diverged": 1.0}, durable=True)
            return 0
        if step == half and lr > limit("FAKE_MEMORY"):
            log.emit("failed", step, kind="out_of_memory", reason="OutOfMemoryError: CUDA out of memory", durable=True)
            return 1
        if step == half and lr > limit("FAKE_CRASH"):
            sys.stderr.write("Traceback (most recent call last):\nValueError: as told\n")
            log.emit("failed", step, kind="crashed", reason="ValueError: as told", durable=True)
            return 1
        if step == half + 3 and "FAKE_KILL_ONCE" in os.environ and first:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == half + 3 and "FAKE_HANG_ONCE" in os.environ and first:
            os.kill(os.getpid(), signal.SIGSTOP)
        if step % (EVERY // 2) == 0 or stopped:
            log.emit("progress", step, metrics={"train/loss": float(state), "progress/tokens": step}, timing={"progress/seconds": step})
        if step % EVERY == 0 or stopped:
            checkpoint(log, saved, step, state)
        if stopped and step < total:
            log.emit("stopped", step, reason="SIGTERM", durable=True)
            return 143
    log.emit("valid", total, metrics={"valid/loss": loss_of(lr, experiment["seed"])})
    log.emit("finished", total, metrics={"saved/flops": 0.25, "train/loss": float(state)}, timing={}, durable=True)
    return 0


def loss_of(lr: float, seed: int) -> float:
    """Best at lr 1e-3; a hundredth more a seed."""
    return 5 + abs(lr - 1e-3) * 1000 + seed / 100


def launch(ranks: int) -> int:
    """Start `ranks` processes and wait for them, as torch.distributed.run does: they lead sessions, and outlive a SIGKILL of this one."""
    children = [subprocess.Popen([sys.executable, __file__, sys.argv[1], "rank", str(rank)], start_new_session=True) for rank in range(ranks)]
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
    if len(sys.argv) == 4:
        return main(Path(sys.argv[1])) if sys.argv[3] == "0" else idle()
    ranks = int(sys.argv[2]) if len(sys.argv) == 3 else 1
    return main(Path(sys.argv[1])) if ranks == 1 else launch(ranks)


if __name__ == "__main__":
    sys.exit(role())
