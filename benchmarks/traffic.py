"""Counts the bytes between ranks in one training step, by layers kept and mode, and compares them with the ideal.

    python benchmarks/traffic.py --ranks 2 --out benchmarks/results/DATE-traffic.json

A 12-layer model trains a few steps with 12, 9 and 6 layers kept. Every collective of torch.distributed is counted at
its call, as the bytes that one rank sends by the usual ring algorithm. For n ranks and a tensor of b bytes (gathered,
or before it is scattered), an all-gather or a reduce-scatter sends (n-1)/n b, and an all-reduce twice as much. In the
ideal case the traffic outside the blocks stays, and the traffic of the blocks falls with the layers kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pld_search.cli.ranks import launched, place
from pld_search.model.build_model import masked_lm
from pld_search.schedules.gates import Gates
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Model
from pld_search.training.parallel.rank_group import Ranks, open_ranks
from pld_search.training.parallel.sharding import share

LAYERS, KEPT, STEPS = 12, (12, 9, 6), 3
COUNTED = {
    "all_gather_into_tensor": 1,
    "all_gather_single": 1,
    "reduce_scatter_tensor": 1,
    "reduce_scatter_single": 1,
    "all_reduce": 2,
}
SPEC = Model(layers=LAYERS, hidden=64, heads=4, intermediate=256, vocabulary=512, dropout=0.0, attention_dropout=0.0)


class Counter:
    """Counts collectives while it is in place; a collective that calls another one counts once."""

    def __init__(self, world: int) -> None:
        self.sent, self._world, self._inside = 0.0, world, False
        for name, times in COUNTED.items():
            if hasattr(dist, name):
                setattr(dist, name, self._counting(getattr(dist, name), times))

    def _counting(self, original: Callable[..., Any], times: int) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            outer, self._inside = not self._inside, True
            if outer:
                tensors = [value for value in [*args, *named.values()] if isinstance(value, Tensor)]
                self.sent += (
                    times
                    * (self._world - 1)
                    / self._world
                    * max(tensor.numel() * tensor.element_size() for tensor in tensors)
                )
            try:
                return original(*args, **named)
            finally:
                self._inside = not outer

        return counted


def measured(mode: str, ranks: Ranks, counter: Counter) -> dict[int, float]:
    """Returns the bytes that a rank sends in one step, by layers kept."""
    model = share(masked_lm(SPEC).train(), mode, ranks)  # type: ignore[arg-type]  # one of the two words
    ids, found = torch.randint(5, SPEC.vocabulary, (4, 16)), {}
    for kept in KEPT:
        gates = Gates((True,) * kept + (False,) * (LAYERS - kept), (1.0,) * LAYERS, "none")
        for step in range(STEPS):
            if step == 1:
                counter.sent = 0.0
            model(ids, positions=torch.arange(4).expand(4, 4), labels=ids[:, :4], gates=gates).loss.backward()
            model.zero_grad(set_to_none=True)
        found[kept] = counter.sent / (STEPS - 1)
    return found


def table(mode: str, found: dict[int, float]) -> list[dict[str, Any]]:
    model = masked_lm(SPEC)
    in_blocks = sum(parameter.numel() for parameter in model.bert.encoder.blocks.parameters())
    rest = sum(parameter.numel() for parameter in model.parameters()) - in_blocks
    # a block is gathered forward and backward and scattered once, the rest is gathered once
    times = 1.5 if mode == "shard" else 1.0
    share_of_blocks = times * in_blocks / (times * in_blocks + rest)
    rows = []
    for kept, sent in found.items():
        ideal = 1 - share_of_blocks * (1 - kept / LAYERS)
        rows.append({"mode": mode, "kept": kept, "bytes": round(sent), "of_full": sent / found[LAYERS], "ideal": ideal})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    given, here = parser.parse_args(), place()
    if here is None:
        sys.exit(launched([sys.executable, *sys.argv], given.ranks))
    out, world = given.out, here.world
    with open_ranks(here, Execution(mode="shard")) as ranks:
        counter = Counter(world)
        rows = [row for mode in ("shard", "replicate") for row in table(mode, measured(mode, ranks, counter))]
    if here.rank:
        return
    for row in rows:
        print(
            f"{row['mode']:<10} {row['kept']:>2}/{LAYERS}  {row['bytes']:>12,} bytes  {row['of_full']:.4f} "
            f"of full, ideal {row['ideal']:.4f}"
        )
    if out:
        out.write_text(
            json.dumps(
                {"world": world, "torch": torch.__version__, "model": SPEC.model_dump(mode="json"), "rows": rows},
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
