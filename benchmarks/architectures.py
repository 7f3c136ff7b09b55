"""Compares the cost of each option of an architecture with its FLOPs: forward and backward, in turns, in one process.

    python benchmarks/architectures.py --hidden 256 --length 128 --out benchmarks/results/DATE-architectures-128.json

A turn times every option once, in an order that rotates. The ratio of an option is the median over turns of its
processor seconds divided by the plain architecture's in the same turn. `excess` is this ratio divided by the ratio of
their FLOPs: at 1.05 the option costs five per cent more than its FLOPs. Times are processor seconds of one thread,
which exclude the time of other processes; caches are still shared, so the load is stated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from facts import facts, quiet

from pld_search.bench.figures import figure
from pld_search.costs.flops import step_flops
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.build_model import masked_lm
from pld_search.specs.build_experiment import NOTHING, new_model
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.template import ModelTemplate

PLAIN = "plain"
LOCAL = {"local": 128, "global_every": 3}
OPTIONS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "rope": {"positions": "rope"},
    "geglu": {"feed_forward": "geglu"},
    "swiglu": {"feed_forward": "swiglu"},
    "relu2": {"feed_forward": "relu2"},
    "rms": {"norm_kind": "rms"},
    "no bias": {"bias": False},
    "qk_norm": {"qk_norm": True},
    "sandwich": {"norm": "sandwich"},
    "local attention": {"attention": LOCAL},
    "rope, geglu, rms, no bias": {"positions": "rope", "feed_forward": "geglu", "norm_kind": "rms", "bias": False},
}


class Timed:
    """One architecture with its batch."""

    def __init__(self, spec: Model, sequences: int, length: int) -> None:
        self._model: PldBertForMaskedLM = masked_lm(spec).train()
        data = Data(corpus=NOTHING, tokenizer=NOTHING, length=length)
        generator = torch.Generator().manual_seed(0)
        self._ids = torch.randint(0, spec.vocabulary, (sequences, length), generator=generator)
        self._positions = torch.arange(data.predictions(length)).expand(sequences, -1).contiguous()
        flops = step_flops(spec, data, Batch(sequences=sequences))
        self.flops = flops.block * spec.layers + flops.fixed

    def seconds(self) -> float:
        """Returns the processor seconds of one forward and backward pass."""
        begun = time.process_time()
        labels = self._ids.gather(1, self._positions)
        self._model(self._ids, positions=self._positions, labels=labels, return_logits=False).loss.backward()
        spent = time.process_time() - begun
        self._model.zero_grad(set_to_none=True)
        return spent


def main() -> None:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shape = {"layers": asked.layers, "hidden": asked.hidden, "heads": asked.hidden // 64, "max_length": asked.length}
    timed = {
        name: Timed(
            new_model(ModelTemplate(**shape, dropout=0.0, attention_dropout=0.0, **changes), 8192),
            asked.sequences,
            asked.length,
        )
        for name, changes in OPTIONS.items()
    }
    begun, found = facts(), measured(timed, asked.turns)
    ended = facts()
    result = {
        **begun,
        "load_after": ended["load"],
        "quiet": quiet(begun["load"][0], begun["machine"]["cores"])
        and quiet(ended["load"][0], begun["machine"]["cores"]),
        "shape": {**shape, "sequences": asked.sequences, "length": asked.length, "turns": asked.turns},
        "options": found,
    }
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in found.items():
        print(
            f"{name:<28} time {row['ratio']['median']:.3f}  FLOPs {row['flops_ratio']:.3f}  excess {row['excess']:.3f}"
        )


def measured(timed: dict[str, Timed], turns: int) -> dict[str, dict[str, Any]]:
    """Returns the ratios of every architecture to the plain one, by turns."""
    names = list(timed)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-2, turns):  # the first two turns warm caches and the allocator
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds = timed[name].seconds()
            if turn >= 0:
                spent[name].append(seconds)
    rows = {}
    for name in names:
        ratios = [one / other for one, other in zip(spent[name], spent[PLAIN], strict=True)]
        of_flops = timed[name].flops / timed[PLAIN].flops
        ratio = figure(ratios)
        rows[name] = {
            "ms": round(1000 * median(spent[name]), 3),
            "ratio": {"median": ratio.median, "low": ratio.low, "high": ratio.high},
            "flops_ratio": of_flops,
            "excess": ratio.median / of_flops,
        }
    return rows


if __name__ == "__main__":
    main()
