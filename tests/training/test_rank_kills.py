"""A run on two ranks under kill -9, again and again: it ends as the undisturbed run does, bit by bit, and nothing is
left running.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pld_search.specs.growth import Growth
from tests.training.rank_bench import Bench, Builder
from tests.training.rank_kills import MOMENTS, VICTIMS, Strike, strike

STEPS = 30
GROWTH = Growth.model_validate({"stages": {"0 %": 2, "25 %": 4}, "weights": "stack", "moments": "copy"})
MODEL = {"layers": 4, "hidden": 16, "heads": 2, "intermediate": 32, "dropout": 0.1, "attention_dropout": 0.1}


def run(bench: Bench, strikes: Sequence[Strike], seed: int, mode: str, steps: int = STEPS, **changes: Any) -> int:
    """Strike after strike, then to the end beside an undisturbed run: with dropout, accumulation and growth. How many
    struck.
    """
    spec = bench.spec(steps, batch={"sequences": 8, "groups": 2}, model=MODEL, **changes)
    how, rng = bench.how(mode=mode, micro_batch=1, checkpoint_every=1, log_points=steps), random.Random(seed)
    struck = [blow for blow in strikes if strike(spec, how, bench.folder / "cut", blow, rng)]
    for name in ("cut", "straight"):
        bench.add(name, spec, how)
    bench.run(2, timeout=2400)
    cut, straight = bench.record("cut"), bench.record("straight")
    print(
        f"seed {seed}: {len(struck)} kills, resumed from {cut.resumed_from}, executed {cut.executed_steps} for {steps}"
    )
    assert cut.state == straight.state == "finished"
    assert len(straight.series["train/loss"]) == steps
    assert cut.series == straight.series
    first, second = (
        load_file(bench.folder / name / "checkpoints" / f"step-{steps:08d}" / "model.safetensors")
        for name in ("cut", "straight")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not list((bench.folder / "cut" / "checkpoints").glob(".*"))
    return len(struck)


@pytest.mark.timeout(600)
def test_three_kills(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    """A rank while both write their moments, all while the model is written, the command at a random moment."""
    strikes = [Strike("rank", "moments"), Strike("all", "model"), Strike("command", "steps")]
    assert (
        run(
            Bench(tmp_path, experiment, execution),
            strikes,
            random.SystemRandom().randrange(2**32),
            "shard",
            growth=GROWTH,
        )
        == 3
    )


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("mode", "precision"), [("shard", "fp32"), ("replicate", "fp32"), ("shard", "fp16")])
def test_fifty_kills(experiment: Builder, execution: Builder, tmp_path: Path, mode: str, precision: str) -> None:
    """17 in each of three runs: everyone that can be killed at every moment, a rank twice, and one more, mixed."""
    seed = random.SystemRandom().randrange(2**32)
    strikes = [Strike(victim, moment) for victim in (*VICTIMS, "rank") for moment in MOMENTS] + [
        Strike("command", "model")
    ]
    random.Random(seed).shuffle(strikes)
    assert (
        run(Bench(tmp_path, experiment, execution), strikes, seed, mode, steps=100, precision=precision, growth=GROWTH)
        == 17
    )
