"""One run of 60 steps with pld, dropout and two groups, as a digest: `python -m tests.golden.run_digest fp32 | fp16`.

Prints the SHA-256 of weights, moments and the folded series. They are equal on one machine with one torch only, since
BLAS differs between processors, so no test holds them: the command is run before and after a change that must not touch
a number.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.training.conftest import write_corpus

STUDY = """
name: golden
experiment:
  model: {layers: 4, hidden: 32, heads: 2, intermediate: 64, positions: alibi, dropout: 0.1, attention_dropout: 0.1}
  data: {train: {text: ["*.txt"]}, validation: 15 %, test: 15 %, document: file, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8, groups: 2}
  optimizer: {lr: 3e-3}
  precision: PRECISION
  validation: {every: 25 %, sequences: 16}
  schedule: pld
budget: {steps: 60}
"""


def run(precision: str, base: Path) -> Path:
    """Train, and give the run's folder."""
    write_corpus(base)
    (base / "golden.yaml").write_text(STUDY.replace("PRECISION", precision))
    command = [
        sys.executable,
        "-m",
        "pld_search",
        "run",
        str(base / "golden.yaml"),
        "--runs",
        str(base / "runs"),
        "--slots",
        "1",
        "--threads",
        "1",
    ]
    more = ["--device", "cpu", "--set", f"machine.cache={base / 'cache'}", "--set", "machine.speed_probes=0"]
    subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return base / "runs" / "golden" / "trials" / "0000" / "seed-0"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the last checkpoint's weights and moments, and of every deterministic number of the events."""
    import torch
    from safetensors.torch import load_file

    checkpoint = max((folder / "checkpoints").iterdir())
    weights, state = hashlib.sha256(), hashlib.sha256()
    for name, tensor in sorted(load_file(checkpoint / "model.safetensors").items()):
        weights.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    for name, value in _leaves(torch.load(checkpoint / "training.pt", weights_only=True)):
        if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
            state.update(name.encode() + value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    series = [[event["event"], event["step"], event.get("metrics")] for event in events]
    return {
        "weights": weights.hexdigest(),
        "moments": state.hexdigest(),
        "series": hashlib.sha256(json.dumps(series).encode()).hexdigest(),
    }


def _leaves(value: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=str) for leaf in _leaves(value[key], f"{name}/{key}")]
    if isinstance(value, list | tuple):
        return [leaf for index, each in enumerate(value) for leaf in _leaves(each, f"{name}/{index}")]
    return [(name, value)]


if __name__ == "__main__":
    for precision in sys.argv[1:] or ("fp32", "fp16"):
        with tempfile.TemporaryDirectory() as base:
            print(precision, json.dumps(digests(run(precision, Path(base)))))
