"""Records the three small studies that this folder keeps: `python -m tests.recorded.record OUT`.

They were recorded by the code of version 0.1 (commit 57a8234) and are not renewed: newer code must fold, continue,
report and mirror them as that code did. `finished` has two seeds and two sampled trials, `killed` was ended by SIGKILL
in the middle of a run, and `promoted` has early stopping by promotion and a confirmation.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.training.conftest import write_corpus

TEMPLATE = """
name: NAME
experiment:
  model: {layers: 2, hidden: 16, heads: 2, intermediate: 32, positions: alibi, dropout: 0.1}
  data: {train: {text: ["*.txt"]}, validation: 15 %, test: 15 %, document: file, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8, groups: 2}
  optimizer: {lr: {log: [1e-3, 1e-2]}, shape: SHAPE}
  precision: fp32
  validation: {every: 25 %, sequences: 16}
  schedule: {base: pld, temporal.end: {float: [0.4, 0.9]}}
budget: {steps: STEPS, equal: flops}
systems:
  full: {schedule: full, optimizer.lr: 3e-3}
  pld: {schedule: pld, optimizer.lr: 3e-3}
reference: full
seeds: SEEDS
search: {objective: {minimize: valid/loss}, sampler: tpe, trials: TRIALS, seed: 3MORE}
"""
STUDIES = {
    "finished": {"SHAPE": "linear", "STEPS": "24", "SEEDS": "2", "TRIALS": "2", "MORE": ""},
    "killed": {"SHAPE": "linear", "STEPS": "160", "SEEDS": "1", "TRIALS": "1", "MORE": ""},
    "promoted": {
        "SHAPE": "wsd",
        "STEPS": "40",
        "SEEDS": "1",
        "TRIALS": "4",
        "MORE": ", early_stopping: {kind: promotion, min: 25 %, eta: 2}}\nconfirm: {top: 1, seeds: 2",
    },
}


def written(folder: Path, name: str) -> Path:
    """The study's file and its corpus of twelve small texts in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(folder)
    text = TEMPLATE.replace("NAME", name)
    for word, value in STUDIES[name].items():
        text = text.replace(word, value)
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return file


def command(file: Path, runs: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "pld_search", "run", str(file), "--runs", str(runs), "--slots", "1", "--threads", "1", "--device", "cpu",
        "--set", f"machine.cache={runs / 'cache'}", "--set", "machine.speed_probes=0", "--tracking-uri", f"sqlite:///{runs / 'mlflow.db'}", *more,
    ]  # fmt: skip


def record(out: Path) -> None:
    for name in sys.argv[2:] or STUDIES:
        base = out / name
        file = written(base / "text", name)
        runs = base / "runs"
        if name != "killed":
            subprocess.run(command(file, runs), check=True)
            continue
        process = subprocess.Popen(command(file, runs, "--set", "machine.checkpoint_seconds=2"), start_new_session=True)
        run = runs / name / "trials" / "0000" / "seed-0"
        while not list((run / "checkpoints").glob("*/")):
            time.sleep(0.1)
        time.sleep(1)
        for pid in _family(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(runs / "cache", ignore_errors=True)


def _family(pid: int) -> list[int]:
    import psutil

    parent = psutil.Process(pid)
    return [pid, *(child.pid for child in parent.children(recursive=True))]


if __name__ == "__main__":
    record(Path(sys.argv[1]))
    print(json.dumps(sorted(STUDIES)))
