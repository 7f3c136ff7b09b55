"""Lists the ten largest costs of a training step at full depth and with a schedule, from torch's profiler.

    python benchmarks/profile_steps.py --shape small --threads 1 --out benchmarks/results/DATE-profile-small.txt

On a CPU it uses one thread, so that self times add up to the step; on CUDA it counts the time of kernels. The steps of
a schedule come from the middle of its run. To see the effect of a change, also run it with the package before the
change (`PYTHONPATH=OLD_CHECKOUT`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from facts import facts, quiet
from torch.profiler import ProfilerActivity, profile

from pld_search.bench.synthetic_corpus import synthetic_corpus
from pld_search.bench.timed_shapes import SHAPES, STEPS, Case
from pld_search.specs.execution import Execution
from pld_search.training import state
from pld_search.training.device import compute_settings
from pld_search.training.setup import Setup, open_setup
from pld_search.training.step import train_step

TOP = 10


def costs(setup: Setup, start: int, steps: int) -> dict[str, float]:
    """Returns the milliseconds of a step by operator, the largest first, after three warm-up steps."""
    run = state.fresh(setup)
    for step in range(start, start + 3):
        train_step(setup, run, step, setup.batch_at(step))
    on_cuda = setup.device.type == "cuda"
    batches = [(step, setup.batch_at(step)) for step in range(start + 3, start + 3 + steps)]
    with profile(activities=[ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]) as seen:
        for step, batch in batches:
            train_step(setup, run, step, batch)
    of = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total) / steps / 1e3
        for event in seen.key_averages()
    }
    return dict(sorted(of.items(), key=lambda item: -item[1]))


def lines(name: str, of: dict[str, float]) -> Iterator[str]:
    whole = sum(of.values())
    yield f"{name}: {whole:.1f} ms a step"
    for operator, spent in list(of.items())[:TOP]:
        yield f"  {operator:60.60s} {spent:9.2f} ms {100 * spent / whole:5.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=list(SHAPES), default="tiny")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--schedule", default="pld")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device = given.device
    with tempfile.TemporaryDirectory() as cache:
        corpus = synthetic_corpus(Path(cache), SHAPES[given.shape].vocabulary)
        sequences = SHAPES[given.shape].sequences(given.length, device)
        case = Case(
            shape=given.shape,
            length=given.length,
            sequences=sequences,
            precision=given.precision or ("fp16" if device == "cuda" else "fp32"),
            dropout=0.1,
            corpus=corpus.digest,
            tokenizer=corpus.tokenizer_digest,
            vocabulary=corpus.vocabulary,
        )
        how = Execution(
            device=device, threads=given.threads, compile=given.compile, folders={corpus.digest: str(corpus.folder)}
        )
        stated = facts()
        text = [
            f"{given.shape}, {sequences} x {given.length} tokens a step, {case.precision}, {device}, compile "
            f"{given.compile}, threads {given.threads}"
        ]
        text += [f"{key}: {value}" for key, value in stated.items()]
        text += [f"quiet: {quiet(stated['load'][0], stated['machine']['cores'])}", ""]
        for schedule, start in (("full", 0), (given.schedule, STEPS // 2)):
            setup = open_setup(case.experiment(schedule), how)
            with compute_settings(how, setup.device):
                text += [*lines(schedule, costs(setup, start, given.steps)), ""]
    print("\n".join(text))
    if given.out:
        given.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
